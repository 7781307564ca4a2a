"""Runs whose processes are killed, or that a signal stops, as a user meets it."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import REPOSITORY, SCRIPTS, made_dataset, run_script
from networks import PLANTED, TRUSTED, planted
from processes import Processes
from warm_scripts import without_report

from mlir_datagen.dataset.measurements import read_measurements

STOPPED = "Stopped; nothing was left behind. The same command starts again.\n"
KEPT = re.compile(r"Stopped; (\d+) programs are made and kept in (\S+)\. The same command goes on from there\.\n")
SMALL = ("dims=small", "num_samples=40", "check=lower")
LONG = ("dims=large", "num_samples=6000", "storage=files")
IMAGE = "{name: image, shape: [1, 3, 8, 8]}"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Run:
    """A script that runs, in a temporary folder of its own."""

    def __init__(self, script, *arguments, cwd, ignored=(), **environment):
        self.temporary = cwd / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.cwd = cwd
        self.processes = Processes({**os.environ, "TMPDIR": str(self.temporary), **environment})

        def prepare():
            # As from a terminal; the tests may run in the background, where SIGINT is ignored.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        arguments = without_report(script, arguments)
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPTS / f"{script}.py"), *arguments], cwd=cwd, env=self.processes.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare,
        )  # fmt: skip
        self.send = self._process.send_signal

    def until(self, condition):
        """Return what a condition gives when it is met."""
        for _ in range(6000):
            if result := condition():
                return result
            assert self._process.poll() is None, self._process.communicate()
            time.sleep(0.01)
        self.processes.kill()
        pytest.fail("it did not come to that")

    def is_prepared(self):
        """Tell whether the script has said what signals do."""
        return signal.SIGTERM in signals_of(self._process.pid, "SigCgt")

    def end(self):
        """Return what is known when it has ended, with all its processes."""
        output, errors = self._process.communicate(timeout=300)
        assert self.processes.end_within(2)
        return subprocess.CompletedProcess(self._process.args, self._process.returncode, output, errors)

    def left(self):
        """Return what it has left in its working folder, and the temporary one.

        The lock of a core is for ever, and parts are what the same command goes on from.
        """
        found = [*self.cwd.glob("outputs/*"), *self.temporary.iterdir()]
        return [path for path in found if path.suffix not in (".lock", ".parts")]


def signals_of(pid, field):
    """Return the signals that a process catches (SigCgt), or ignores (SigIgn)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            mask = int(line.split()[1], 16)
            return {number for number in signal.Signals if mask >> (number - 1) & 1}
    return set()


def staged(run):
    return list(run.cwd.glob("outputs/.*.partial/train/*.mlir"))


def digest_of(made):
    return json.loads((made / "manifest.json").read_text())["digest"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return digest_of(made_dataset(run_script("generate", *SMALL, cwd=folder), folder))


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("workers", signal.SIGKILL),
        ("workers", signal.SIGTERM),
        ("workers", signal.SIGSEGV),
        ("fork_servers", signal.SIGKILL),
    ],
)
def test_a_process_that_is_killed_changes_nothing(kind, number, undisturbed, tmp_path):
    run = Run("generate", *SMALL, cwd=tmp_path)
    run.until(run.processes.workers)
    for pid in getattr(run.processes, kind)():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    done = run.end()
    assert digest_of(made_dataset(done, tmp_path)) == undisturbed
    assert done.stderr == ""


@pytest.mark.parametrize("kind", ["workers", "fork_servers"])
def test_killing_again_and_again_stops_the_run(kind, tmp_path):
    run = Run("generate", *SMALL, cwd=tmp_path)
    while run._process.poll() is None:
        for pid in getattr(run.processes, kind)():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    done = run.end()
    assert done.returncode == 2
    assert "The worker process of one job was killed 3 times" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert run.left() == []


def test_a_network_whose_process_is_killed_is_converted(tmp_path):
    run = Run("generate", "ops=[]", "check=execute", TRUSTED, planted("small", inputs=IMAGE), cwd=tmp_path, **PLANTED)
    (pid,) = run.until(run.processes.workers)
    os.kill(pid, signal.SIGKILL)
    made = made_dataset(run.end(), tmp_path)
    assert [path.name for path in made.glob("neural_nets/*.mlir")] == ["small.mlir"]


def test_measuring_goes_on_when_workers_are_killed(tmp_path):
    made = made_dataset(run_script("generate", "dims=small", "num_samples=12", cwd=tmp_path), tmp_path)
    run = Run("measure", str(made), cwd=tmp_path)
    for pid in run.until(run.processes.workers):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    done = run.end()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "programs with a time: 12"
    assert len(read_measurements(made)) == 12


@pytest.mark.parametrize(
    ("number", "setting"),
    [
        (signal.SIGINT, (*LONG, "check=lower")),
        (signal.SIGTERM, (*LONG, "check=lower")),
        (signal.SIGTERM, ("-m", *LONG, "seed=1,2")),
        (signal.SIGHUP, LONG),
    ],
    ids=str,
)
def test_a_signal_stops_a_run(number, setting, tmp_path):
    run = Run("generate", *setting, cwd=tmp_path)
    run.until(lambda: staged(run))
    run.send(number)
    time.sleep(0.05)
    run.send(number)  # People press Ctrl-C twice.
    done = run.end()
    assert done.returncode == 128 + number
    assert done.stderr == STOPPED or KEPT.fullmatch(done.stderr)
    assert run.left() == []


def test_a_stopped_run_says_how_to_go_on(tmp_path):
    run = Run("generate", *LONG, cwd=tmp_path)
    run.until(lambda: list(tmp_path.glob("outputs/.*.parts/*.arrow")))
    run.send(signal.SIGINT)
    stopped_at = time.monotonic()
    kept = KEPT.fullmatch(run.end().stderr)
    assert time.monotonic() - stopped_at < 10  # 2 seconds on a machine that has nothing else to do
    assert [str(path) for path in (tmp_path / "outputs").iterdir()] == [str(tmp_path / kept[2])]
    again = run_script("generate", *LONG, cwd=tmp_path)
    assert again.stderr == f"Going on from {kept[1]} programs that a stopped run has left.\n"
    made = made_dataset(again, tmp_path)
    assert os.listdir(tmp_path / "outputs") == [made.name]
    assert run_script("verify", str(made), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("seconds", [0, 0.1, 0.5, 1, 4])
def test_a_signal_stops_a_run_at_any_moment(seconds, tmp_path):
    """From when the script's first lines have run; before, it is Python that prints its traceback."""
    run = Run("generate", "dims=large", "num_samples=2000", "check=execute", cwd=tmp_path)
    run.until(run.is_prepared)
    time.sleep(seconds)
    run.send(signal.SIGINT)
    done = run.end()
    assert (done.returncode, done.stderr, done.stdout) == (130, STOPPED, "")
    assert run.left() == []


@pytest.mark.parametrize("script", list(SCRIPTS.glob("*.py")), ids=lambda p: p.stem)
def test_every_script_can_be_stopped_while_it_imports(script):
    assert first_imports(script) == ["annotations", "main"]


def test_the_console_command_can_be_stopped_while_it_imports():
    assert first_imports(REPOSITORY / "mlir_datagen" / "command_line" / "main.py") == ["annotations", "stoppable"]


def first_imports(path):
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name.name for node in imports[:2] for name in node.names]


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    run = Run("generate", *LONG, cwd=tmp_path, ignored=[signal.SIGHUP])
    run.until(lambda: staged(run))
    run.send(signal.SIGHUP)
    assert signal.SIGHUP in signals_of(run._process.pid, "SigIgn")
    run.send(signal.SIGTERM)
    assert run.end().returncode == 143


def test_nothing_outlives_a_run_that_is_killed_and_the_next_one_clears_up(tmp_path):
    # Runs of one config compose it without Hydra's command line, which has files there.
    by_hydra = "hydra.verbose=false"
    run = Run("generate", *LONG, "check=lower", by_hydra, cwd=tmp_path)
    run.until(lambda: staged(run))
    other = Run("generate", *LONG, "seed=1", by_hydra, cwd=tmp_path)
    other.until(lambda: len(scratch_folders(other)) == 2)
    run.send(signal.SIGKILL)
    assert run.end().returncode == -signal.SIGKILL
    (tmp_path / "tmp" / "mlir_datagen_scratch_of_somebody").write_text("a file")
    assert len(scratch_folders(other)) == 3
    done = run_script("generate", "experiment=tiny", by_hydra, cwd=tmp_path, environment={"TMPDIR": str(run.temporary)})
    assert done.returncode == 0, done.stderr
    # That of the run that goes on, and what is none.
    assert len(scratch_folders(other)) == 2
    other.send(signal.SIGTERM)
    other.end()
    assert [path.name for path in scratch_folders(other)] == ["mlir_datagen_scratch_of_somebody"]


def scratch_folders(run):
    return list(run.temporary.glob("mlir_datagen_scratch_*"))


def test_a_temporary_folder_with_a_long_path(tmp_path):
    long = tmp_path / ("long" * 40)
    long.mkdir()
    done = run_script("generate", *SMALL, cwd=tmp_path, environment={"TMPDIR": str(long)})
    assert len(str(long)) > 160
    made_dataset(done, tmp_path)


def test_the_terminal_is_closed(tmp_path):
    """What the terminal's processes get is SIGHUP, and nothing that they print arrives."""
    main_end, terminal = pty.openpty()

    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    run = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "generate.py"), *LONG], cwd=tmp_path, start_new_session=True,
        stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=prepare,
    )  # fmt: skip
    os.close(terminal)
    while not list(tmp_path.glob("outputs/.*.partial/train/*.mlir")):
        assert run.poll() is None
        time.sleep(0.01)
    os.close(main_end)
    assert run.wait(60) == 129
    assert {path.suffix for path in tmp_path.glob("outputs/*")} <= {".parts"}
