"""Dask's workers: the dataset does not depend on them, they may be killed, and what is wrong is said."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from crashing import CRASHES, MARKER, Crashing, lost
from dask_cluster import dask_cluster
from helpers import config, run_script
from other_machine import CPU

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.errors import UserError
from mlir_datagen.executors import on_dask
from mlir_datagen.executors.opening import opened
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.machine import machine
from mlir_datagen.sources.networks import Networks
from mlir_datagen.verification import verify_dataset

KEYS = ("digest", "files", "funnel", "quotas", "counts")
SETTINGS = ["ops=[matmul,conv2d,sequence,dag]", "dims=small", "num_samples=90", "form=mixed"]


@pytest.fixture
def serial(few_programs_a_task, tmp_path):
    return generate(compose_config([*SETTINGS, "executor=serial", f"output_dir={tmp_path / 'serial'}"])).manifest


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2, other_machines=1) as running:
        yield running


def addressed(running, tmp_path, name="dask"):
    return compose_config(
        [*SETTINGS, "executor=dask", f"executor.address={running.address}", f"output_dir={tmp_path / name}"]
    )


def test_workers_of_a_scheduler_elsewhere_change_no_byte(serial, cluster, tmp_path):
    made = generate(addressed(cluster, tmp_path)).manifest
    for key in KEYS:
        assert made[key] == serial[key]


def test_a_local_cluster_changes_no_byte_and_is_used_for_few_programs(serial, tmp_path):
    made = generate(
        compose_config([*SETTINGS, "executor=dask", "executor.workers=2", f"output_dir={tmp_path}"])
    ).manifest
    for key in KEYS:
        assert made[key] == serial[key]


def test_programs_are_checked_where_they_are_made(cluster, monkeypatch, tmp_path):
    """The same are kept and rejected as by the pool of this process, which has nothing to prove then."""
    settings = ["ops=[matmul,pooling,softmax]", "dims=small", "num_samples=40", "check=execute", "check.fraction=0.8"]
    # So little memory that some programs cannot be run.
    settings += ["ops.matmul.grid.m=[16,2048]", "ops.matmul.grid.n=[16,2048]", "sandbox.memory_bytes=3000000000"]
    here = generate(compose_config([*settings, f"output_dir={tmp_path / 'here'}"])).manifest
    monkeypatch.setattr(BatchProver, "outcomes", lambda *_: pytest.fail("it is proven here"))
    run = [*settings, "executor=dask", f"executor.address={cluster.address}", f"output_dir={tmp_path / 'there'}"]
    there = generate(compose_config(run)).manifest
    for key in (*KEYS, "check"):
        assert there[key] == here[key]
    assert here["check"]["matched"] > 10


def test_programs_are_measured_where_they_are_made(cluster, monkeypatch, tmp_path):
    """Each time says of which machine it is; those of two machines are of one dataset."""
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_SLOW_TASK", 5)
    settings = ["ops=[matmul,pooling]", "dims=small", "num_samples=60", "measure=baseline", "measure.max_seconds=0.01"]
    here = generate(compose_config([*settings, "measure=none", f"output_dir={tmp_path / 'here'}"])).manifest
    monkeypatch.setattr(BatchProver, "outcomes", lambda *_: pytest.fail("it is measured here"))
    run = [*settings, "executor=dask", f"executor.address={cluster.address}", f"output_dir={tmp_path / 'there'}"]
    made = generate(compose_config(run))
    assert made.manifest["counts"] == here["counts"]
    times = read_measurements(made.path)
    assert len(times) == 60
    machines = {record["cpu"]: record for record in made.manifest["measurements"]["machines"]}
    assert set(machines) == {machine().cpu, CPU}
    assert machines[machine().cpu]["id"] == machine().id
    for record in machines.values():
        assert record["programs"] == sum(time.machine == record["id"] for time in times.values()) > 0
    assert f"{CPU} (`{machines[CPU]['id']}`: {machines[CPU]['programs']})" in (made.path / "README.md").read_text()
    verify_dataset(made.path)


NETWORKS = [
    "ops=[matmul]", "dims=small", "num_samples=20", "models=[simple_net]", "extract=ops", "converter=manual",
    # PyTorch refuses an image of another size.
    "+models.bad={class: mlir_datagen.nn.examples.SimpleNet, inputs: [{name: x, shape: [1, 3, 9, 9]}]}", "seed=3",
    "+suites.mine={version: 1, digest: null, models: [simple_net], converter: manual, window: 3, stride: 1}",
]  # fmt: skip


@pytest.fixture(scope="module")
def converted_here(tmp_path_factory):
    return generate(compose_config([*NETWORKS, f"output_dir={tmp_path_factory.mktemp('converted')}"]))


@pytest.mark.parametrize("is_killed", [False, True])
def test_networks_are_converted_by_workers(is_killed, converted_here, monkeypatch, tmp_path):
    monkeypatch.setattr(Networks, "_here", lambda *_: pytest.fail("it is converted here"))
    with dask_cluster(tmp_path, workers=2) as running, ThreadPoolExecutor(1) as thread:
        run = [*NETWORKS, "executor=dask", f"executor.address={running.address}", f"output_dir={tmp_path / 'there'}"]
        made = thread.submit(generate, compose_config(run))
        if is_killed:
            # A worker that has started the processes of a conversion.
            while not (busy := [worker for worker in running.workers if children(worker.pid)]):
                assert not made.done()
                time.sleep(0.02)
            busy[0].kill()
        there = made.result()
    for key in KEYS:
        assert there.manifest[key] == converted_here.manifest[key]
    assert there.rejected == converted_here.rejected
    assert [one.name for one in there.rejected] == ["bad"]


def children(process):
    """Return the processes that any thread of a process has started."""
    return [child for path in Path(f"/proc/{process}/task").glob("*/children") for child in path.read_text().split()]


def test_a_worker_that_is_killed_costs_no_byte(serial, tmp_path):
    with dask_cluster(tmp_path, workers=2) as running:
        killed = running.workers[0]

        def kill(count):
            if killed.poll() is None:
                killed.kill()
                killed.wait()

        made = generate(addressed(running, tmp_path), Listener(on_written=kill)).manifest
        assert killed.returncode == -signal.SIGKILL
    for key in KEYS:
        assert made[key] == serial[key]


def test_a_scheduler_that_goes_stops_the_run(few_programs_a_task, tmp_path):
    gone = pytest.raises(UserError, match="has gone in the middle of the work")
    with dask_cluster(tmp_path, workers=1) as running, gone:
        generate(addressed(running, tmp_path), Listener(on_written=lambda count: running.scheduler.kill()))
    assert not list(tmp_path.glob("dask/[!.]*"))


class Stuck:
    """A client whose scheduler does not answer, or is not there any more, and whose tasks have no end."""

    status = "running"

    def __init__(self, scheduler):
        self.scheduler = scheduler

    loop = SimpleNamespace(add_callback=lambda *_: None)

    def submit(self, *_, **__):
        return None

    def sync(self, function, callback_timeout):
        assert callback_timeout < 60
        raise TimeoutError


@pytest.mark.parametrize("scheduler", [None, SimpleNamespace(ncores=None)])
def test_nobody_waits_for_what_does_not_come(scheduler):
    with on_dask.DaskExecutor(Stuck(scheduler), "nobody") as executor:
        with pytest.raises(UserError, match="The scheduler of nobody has gone"):
            _ = executor.ahead
        outcome = executor.submit(len, ())
    with pytest.raises(CancelledError):
        outcome.result(0)


def test_a_result_that_is_lost_is_made_again(tmp_path):
    """A worker goes when it has done a task, before it has sent the result; then two more in the middle of it."""
    with opened(compose_config(["executor=dask", "executor.workers=2"]).executor) as executor:
        assert executor.submit(lost, str(tmp_path)).result(60) == "made"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_program_that_ends_workers_is_rejected_and_one_that_is_killed_is_not(
    few_programs_a_task, monkeypatch, tmp_path
):
    monkeypatch.setattr("mlir_datagen.pipeline.run.RandomOps", Crashing)
    made = {}
    for kind in ("process", "dask"):
        marker = tmp_path / f"killed_{kind}"
        monkeypatch.setenv(MARKER, str(marker))
        # It is started with the environment of now.
        SERVER.stop()
        executor = {"kind": kind, "workers": 2}
        made[kind] = generate(config(["matmul"], num_samples=18, output_dir=str(tmp_path / kind), executor=executor))
        assert marker.exists()
    SERVER.stop()
    assert made["dask"].rejected == made["process"].rejected != []
    assert all(f'"m":{CRASHES},' in one.spec and "SIGABRT" in one.reason for one in made["dask"].rejected)
    for key in KEYS:
        assert made["dask"].manifest[key] == made["process"].manifest[key]


def test_workers_that_are_killed_again_and_again_reject_nothing(serial, cluster, monkeypatch, tmp_path):
    """A scheduler that gives up on a task cannot know who has killed its workers."""
    real, given_up = on_dask.DaskExecutor._settle, []

    def killed(self, outcome, done, function, argument):
        if len(given_up) < 2:
            given_up.append(1)
            done = Future()
            done.set_exception(on_dask.KilledWorker("task", None, 3))
        real(self, outcome, done, function, argument)

    monkeypatch.setattr(on_dask.DaskExecutor, "_settle", killed)
    made = generate(addressed(cluster, tmp_path))
    assert len(given_up) == 2
    assert made.rejected == []
    for key in KEYS:
        assert made.manifest[key] == serial[key]


def test_a_worker_of_another_version_is_refused(few_programs_a_task, cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(on_dask, "GENERATOR_VERSION", 7)
    with pytest.raises(UserError, match=r"its generator \d+ and not 7, so that it may make other programs"):
        generate(addressed(cluster, tmp_path))


def test_a_worker_without_what_makes_the_programs(cluster, monkeypatch, tmp_path):
    (tmp_path / "only_here.py").write_text("def function(argument):\n    return argument\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from only_here import function

    lacking = pytest.raises(UserError, match=r"cannot import what makes the programs \(No module named 'only_here'\)")
    with opened(addressed(cluster, tmp_path).executor) as executor, lacking:
        executor.submit(function, 1).result(60)


@pytest.mark.parametrize("what", ["nothing", "no workers"])
def test_a_scheduler_that_cannot_help(what, tmp_path):
    started = time.monotonic()
    if what == "nothing":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
            done = run_script("generate", "executor=dask", f"executor.address={address}", cwd=tmp_path)
        message = f"There is no Dask scheduler at executor.address, {address}"
    else:
        with dask_cluster(tmp_path, workers=0) as running:
            done = run_script("generate", "executor=dask", f"executor.address={running.address}", cwd=tmp_path)
        message = f"has no workers. Start some: dask worker {running.address}"
    assert time.monotonic() - started < 90
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert said.startswith("Error: ")
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("kind", "needed", "command"),
    [
        ("dask", "distributed", "pip install 'mlir_datagen[dask]'"),
        ("dask_slurm", "dask-jobqueue", "pip install 'mlir_datagen[slurm]'"),
    ],
)
def test_what_is_not_installed(kind, needed, command, monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.executors.opening.find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        generate(compose_config([f"executor={kind}", f"output_dir={tmp_path}"]))
    assert f"executor={kind} needs {needed}, which is not installed: {command}" in str(error.value)


def test_slurm_is_asked_for_workers(serial, monkeypatch, tmp_path):
    """In the place of its commands, ones that start a job here at once, and end it."""
    commands, jobs = tmp_path / "bin", tmp_path / "jobs"
    commands.mkdir()
    (commands / "sbatch").write_text(
        f'#!/bin/sh\ncat "$1" >> {jobs}\ncp "$1" {tmp_path}/job.$$\nsetsid sh {tmp_path}/job.$$ > /dev/null 2>&1 &\n'
        'echo "Submitted batch job $!"\n'
    )
    (commands / "scancel").write_text('#!/bin/sh\nkill -9 -- "-$1"\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    asked = ["queue=fast", "jobs=1", "cores=2", "memory=2GiB", "walltime='00:10:00'"]
    executor = ["executor=dask_slurm", *(f"executor.{one}" for one in asked)]
    made = generate(compose_config([*SETTINGS, *executor, f"output_dir={tmp_path / 'slurm'}"])).manifest
    script = jobs.read_text()
    for line in ("-p fast", "--cpus-per-task=2", "--mem=2G", "-t 00:10:00"):
        assert f"#SBATCH {line}\n" in script
    assert script.count("distributed.cli.dask_worker") == 1
    # A process for each core: Python's lock lets threads make programs one after the other.
    assert "--nworkers 2 " in script
    assert "--nthreads 1 " in script
    for key in KEYS:
        assert made[key] == serial[key]


def test_slurm_refuses_a_job(monkeypatch, tmp_path):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: fats' >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"SLURM does not take the jobs.*invalid partition specified: fats"):
        generate(compose_config(["executor=dask_slurm", "executor.queue=fats", f"output_dir={tmp_path / 'out'}"]))


def test_slurm_is_not_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no command sbatch here"):
        generate(compose_config(["executor=dask_slurm", f"output_dir={tmp_path}"]))


def test_settings_of_dask_are_no_part_of_the_dataset(cluster, tmp_path):
    run = addressed(cluster, tmp_path)
    assert run.fingerprint == dataclasses.replace(run, executor=compose_config([]).executor).fingerprint
