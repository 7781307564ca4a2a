"""Worker processes that make programs: the dataset does not depend on them, and they may end."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future

import pytest
from crashing import CRASHES, MARKER, Crashing
from helpers import config, run_script

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.executors.workers import Workers
from mlir_datagen.pipeline.run import generate
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import JobEnded

KEYS = ("digest", "files", "funnel", "quotas", "counts")


def test_no_number_of_workers_changes_a_byte(few_programs_a_task, monkeypatch, tmp_path):
    forked = []
    fork = SERVER.fork
    monkeypatch.setattr(SERVER, "fork", lambda *descriptors: (forked.append(1), fork(*descriptors)))
    settings = ["ops=[matmul,conv2d,sequence,dag]", "dims=small", "num_samples=90", "form=mixed"]
    made = {}
    for number, executor in enumerate(["executor=serial", "executor.workers=2", "executor.workers=5"]):
        run = compose_config([*settings, executor, f"output_dir={tmp_path / str(number)}"])
        made[executor] = generate(run).manifest
    assert len(forked) == 2 + 5
    for key in KEYS:
        assert made["executor=serial"][key] == made["executor.workers=2"][key] == made["executor.workers=5"][key]


@pytest.fixture
def crashing(few_programs_a_task, monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.pipeline.run.RandomOps", Crashing)
    monkeypatch.setenv(MARKER, str(tmp_path / "killed"))
    # It is started with the environment of now.
    SERVER.stop()
    yield
    SERVER.stop()


def test_a_program_that_ends_its_processes_is_rejected_and_one_that_is_killed_is_not(crashing, tmp_path):
    made = generate(config(["matmul"], num_samples=24, output_dir=str(tmp_path / "out"), executor={"workers": 2}))
    assert (tmp_path / "killed").exists()
    rejected = made.rejected
    assert rejected
    assert {one.stage for one in rejected} == {"verified"}
    assert all(f'"m":{CRASHES},' in one.spec and "SIGABRT" in one.reason for one in rejected)
    assert all(one.spec in one.command for one in rejected)
    assert made.manifest["counts"] == {"train": {"matmul": 20}, "test": {"matmul": 4}}
    # What was killed from outside once is there, and the rest of each task that was done by halves.
    specs = " ".join(path.read_text() for path in made.path.glob("train/*.mlir"))
    assert "tensor<3x" in specs


def test_few_programs_or_one_core_need_no_workers(monkeypatch, tmp_path):
    monkeypatch.setattr(Workers, "__init__", lambda *_: pytest.fail("there are worker processes"))
    generate(config(num_samples=20, output_dir=str(tmp_path / "few")))
    monkeypatch.setattr("mlir_datagen.pipeline.run.FEWEST_PROGRAMS", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    generate(config(num_samples=20, output_dir=str(tmp_path / "core")))
    generate(config(num_samples=20, output_dir=str(tmp_path / "serial"), executor={"kind": "serial"}))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "executor=thread",
            'no "thread" in the group executor. Did you mean "threads"? It has dask, dask_slurm, ',
        ),
        ("executor.workers=0", "executor.workers is 0, and must be a whole number of at least 1"),
        ("executor.workers=9999", "executor.workers is 9999, and must be at most 1024"),
        ("executor.kind=fork", "executor.kind is 'fork'"),
        ("executor.core=2", 'There is no key "executor.core" in the config. Did you mean "executor'),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(UserError) as error:
        compose_config([setting])
    assert message in str(error.value)


def test_serial_has_no_workers():
    with pytest.raises(UserError, match="executor=serial has no worker processes"):
        compose_config(["executor=serial", "executor.workers=2"])


def test_what_makes_a_dataset_is_no_part_of_its_identity_and_may_be_said_of_a_saved_config(tmp_path):
    settings = ["dims=small", "num_samples=20"]
    one, other = (compose_config([*settings, executor]) for executor in ("executor=serial", "executor.workers=3"))
    assert one.fingerprint == other.fingerprint
    assert "executor" not in one.to_saved()
    done = run_script("generate", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = done.stdout.split("dataset: ")[1].strip()
    again = run_script(
        "generate", "--config-dir", folder, "--config-name", "config", "executor.kind=serial", "seed=3", cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr


def test_a_worker_that_ends_while_it_draws_is_an_error_for_people(monkeypatch, tmp_path):
    """It is the drawing itself that does so, in Python alone: no program is at fault."""

    class Ending(Executor):
        def submit(self, function, /, *arguments):
            future = Future()
            future.set_exception(self.error)
            return future

    ending = Ending()
    run = compose_config(["ops=[sequence]", "num_samples=10", f"output_dir={tmp_path}"])
    for error, said in ((JobEnded("it aborted"), "drew programs was ended"), (BrokenExecutor("gone"), "goes on where")):
        ending.error = error
        with pytest.raises(UserError, match=said):
            generate(run, executor=ending)
