"""Which executor a config chooses: any class, of trusted packages alone; what is wrong is said before it is used."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from helpers import SCRIPTS, run_script

from mlir_datagen.config.compose import command_line, compose_config
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate, preview

SETTINGS = ["ops=[matmul,conv2d,dag]", "dims=small", "num_samples=60"]
OWN = """
from concurrent.futures import Executor, Future

class Own(Executor):
    def submit(self, function, /, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future

class Other:
    pass
"""


@pytest.fixture
def own_package(monkeypatch, tmp_path):
    (tmp_path / "own_package.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_package", None)


def test_any_class_makes_the_same_dataset(few_programs_a_task, own_package, monkeypatch, tmp_path):
    """An executor by its class is one config file, or settings alone."""
    asked = []
    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *given: (asked.append(given), submit(*given))[1])
    by_class = ["executor.kind=class", "executor.class_path=concurrent.futures.ThreadPoolExecutor"]
    chosen = {
        "serial": ["executor=serial"],
        "file": ["executor=threads"],
        "settings": [*by_class, "executor.arguments={max_workers: 2}"],
        "own": ["executor.kind=class", "executor.class_path=own_package.Own", "trust=[own_package]"],
    }
    made = {
        name: generate(compose_config([*SETTINGS, *executor, f"output_dir={tmp_path / name}"])).manifest
        for name, executor in chosen.items()
    }
    assert len(asked) > 2 * 60 / 7
    assert len({one["digest"] for one in made.values()}) == 1
    assert len({one["fingerprint"] for one in made.values()}) == 1


def test_a_package_that_is_not_trusted_is_not_imported(own_package):
    with pytest.raises(UserError) as error:
        compose_config(["executor.kind=class", "executor.class_path=own_package.Own"])
    assert "not imported unless this run trusts their package" in str(error.value)
    assert "type 'trust=[own_package]'" in str(error.value)
    assert "own_package" not in sys.modules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["executor.kind=clas"],
            "executor.kind is 'clas', and must be one of process, serial, dask,",
        ),
        (["executor=dask", "executor.workers=0"], "executor.workers is 0, and must be a whole number of at least 1"),
        (["executor=dask", "executor.address=localhost"], "Type for instance executor=dask executor.address=tcp://"),
        (["executor=dask", "executor.address=tcp://h:99999"], "executor.address is 'tcp://h:99999', and must be what"),
        (["executor=dask", "executor.address=tcp://h:1", "executor.workers=2"], "Leave executor.workers out"),
        (
            ["executor.address=tcp://h:1"],
            "executor=process takes executor.workers. Type executor=dask",
        ),
        (["executor.adress=tcp://h:1"], 'There is no key "executor.adress" in the config.'),
        (
            ["executor.kind=class"],
            "executor.class_path is None, and must name a class with its module. Type for instance",
        ),
        (
            ["executor.kind=class", "executor.class_path=threads"],
            "executor.class_path is 'threads', and must name a class",
        ),
        (["executor=threads", "executor.arguments=3"], "executor.arguments is 3, and must be a mapping"),
        (
            ["executor=threads", "executor.jobs=3"],
            "executor.kind=class takes executor.class_path, executor.arguments. Type",
        ),
        (["executor=dask_slurm", "executor.jobs=0"], "executor.jobs is 0, and must be a whole number of at least 1"),
        (["executor=dask_slurm", "executor.cores=null"], "executor=dask_slurm needs executor.cores. Type for instance"),
        (["executor=dask_slurm", "executor.memory=32"], "executor.memory is 32, and must be an amount with its unit"),
        (["executor=dask_slurm", "executor.walltime=2h"], "executor.walltime is '2h', and must be a time in quotes"),
        (
            ["executor=dask_slurm", "executor.queue='a b'"],
            "executor.queue is 'a b', and must be the name of",
        ),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(UserError) as error:
        compose_config(settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        (
            "concurrent.futures.ThreadPoolExecuter",
            "{}",
            "no class of executors (concurrent.futures.Executor). Did you mean",
        ),
        ("concurrent.features.ThreadPoolExecutor", "{}", "cannot be imported: No module named 'concurrent.features'"),
        (
            "concurrent.futures.wait",
            "{}",
            "concurrent.futures.wait, which is no class of executors",
        ),
        ("own_package.Other", "{}", "executor.class_path is own_package.Other, which is no class of executors"),
        ("concurrent.futures.ThreadPoolExecutor", "{workers: 2}", "unexpected keyword argument 'workers'"),
        ("concurrent.futures.ThreadPoolExecutor", "{max_workers: 0}", "max_workers must be greater than 0"),
    ],
)
def test_a_class_that_is_none(path, arguments, message, own_package, tmp_path):
    settings = ["executor.kind=class", f"executor.class_path={path}", f"executor.arguments={arguments}"]
    with pytest.raises(UserError) as error:
        generate(compose_config([*settings, "trust=[own_package]", f"output_dir={tmp_path / 'out'}"]))
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_bad_executor_ends_the_script_as_other_bad_input_does(tmp_path):
    done = run_script("generate", "executor.kind=class", "executor.class_path=numpy.ndarray", cwd=tmp_path)
    assert done.returncode == 2
    assert "type 'trust=[numpy]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_dataset_of_a_stranger_chooses_no_executor(tmp_path):
    """Whoever is at the other end of an address may send what runs code here."""
    done = generate(compose_config([*SETTINGS, f"output_dir={tmp_path / 'out'}"]))
    saved = done.path / "config.yaml"
    raw = yaml.safe_load(saved.read_text())
    assert "executor" not in raw
    saved.write_text(yaml.safe_dump({**raw, "executor": {"kind": "dask", "address": "tcp://198.51.100.1:8786"}}))
    for read in (load_saved_config, lambda _: command_line(["-cd", str(done.path), "-cn", "config"], tmp_path)):
        with pytest.raises(UserError, match="has the key executor, which no dataset's config has"):
            read(saved)


def test_a_dry_run_starts_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.pipeline.run.opened", lambda *_: pytest.fail("an executor is opened"))
    preview(compose_config([*SETTINGS, "executor=dask", f"output_dir={tmp_path}"]))


@pytest.mark.parametrize("kind", ["process", "dask"])
def test_workers_end_with_the_run_however_it_ends(kind, tmp_path):
    settings = ["num_samples=200000", "dims=large", "storage=parquet", f"executor={kind}", "executor.workers=3"]
    run = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "generate.py"), *settings], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        # The process that they are forked from, and they.
        wait_until(lambda: len(descendants(run.pid)) == 4, 60)
        time.sleep(0.5)
        workers = descendants(run.pid)
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_until(lambda: not any(map(is_alive, workers)), 2)
    finally:
        run.kill()
        run.wait()


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def status(process):
    """Return the state and the parent of a process; None when it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(process):
    found = status(process)
    return found is not None and found[0] not in "ZX"


def descendants(process):
    parents = {int(path.name): status(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, last = set(), {process}
    while last:
        last = {one for one, known in parents.items() if known is not None and int(known[1]) in last}
        found |= last
    return found
