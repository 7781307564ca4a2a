"""The protocol of sources, and the one path from them to the disk."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing

import pytest
from helpers import config
from planting import REAL, plant_programs

from mlir_datagen.config.commands import network_settings
from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.results import result_of
from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate
from mlir_datagen.sources.extraction import Extraction
from mlir_datagen.sources.networks import Networks
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.suites import Suites

MATMUL = FAMILIES["matmul"]
LISTED = ["ops=[]", "models=[simple_net]", "extract=ops", "suites=[gemm,conv]", "converter=manual"]


class Backwards(Executor):
    """Does nothing until all tasks that it is given at once are there, and then the last one first."""

    def __init__(self):
        self._given = []
        self.order = []

    def submit(self, function, /, *arguments):
        number, future = len(self.order) + len(self._given), _Asked(self._do_all)
        self._given.append((number, future, function, arguments))
        return future

    def _do_all(self):
        while self._given:
            number, future, function, arguments = self._given.pop()
            self.order.append(number)
            future.set_result(function(*arguments))


class _Asked(Future):
    def __init__(self, before):
        super().__init__()
        self._before = before

    def result(self, timeout=None):
        self._before()
        return super().result(timeout)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    run = compose_config(LISTED)
    with closing(Networks(network_settings(run), tmp_path_factory.mktemp("networks"))) as networks:
        yield {
            "random": RandomOps(config(num_samples=40).random_settings),
            "networks": networks,
            "extraction": Extraction(networks.converted(networks.plan({}).tasks), run.extract),
            "suites": Suites(run.suites.values(), networks),
        }


def networks_of(task):
    return getattr(task, "networks", [])


@pytest.mark.parametrize("name", ["random", "networks", "extraction", "suites"])
def test_a_pickled_task_makes_the_same_programs(sources, name):
    source = sources[name]
    plan = source.plan({"train": 30, "test": 10} if name == "random" else {})
    assert plan.tasks
    for task in plan.tasks:
        pickled = pickle.dumps(task)
        # What is taken out of networks is made from their texts, and a suite from its list.
        assert len(pickled) < 4096 * (4 if name == "suites" else 1) + sum(len(one.text) for one in networks_of(task))
        once, again = source.produce(task), source.produce(pickle.loads(pickled))
        assert once.attempted == len(once) > 0
        assert [block.texts for block in once.blocks] == [block.texts for block in again.blocks]
        assert once.split == again.split


def test_a_task_does_not_depend_on_those_before_it(sources):
    run = config(num_samples=40).random_settings
    tasks = RandomOps(run).plan({"train": 30, "test": 10}).tasks
    alone = RandomOps(run).produce(tasks[-1])
    later = [sources["random"].produce(task) for task in tasks][-1]
    assert [block.texts for block in alone.blocks] == [block.texts for block in later.blocks]


def test_only_what_fills_splits_is_planned_by_size(sources):
    for name in ("networks", "extraction", "suites"):
        plan = sources[name].plan({})
        assert (plan.total, list(plan.quotas)) == (0, [])
    assert sources["random"].plan({"train": 7}).total == 7


def broken_sometimes(real):
    """Emits programs of which some are rejected, so that later plans make up for them."""
    return lambda spec, form: "module {" if spec.fields["m"] in (1, 2) else real(spec, form)


def processes(method):
    return ProcessPoolExecutor(2, multiprocessing.get_context(method))


def test_the_order_in_which_tasks_are_done_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 3)
    plant_programs(monkeypatch, MATMUL, broken_sometimes(REAL))
    run = {
        name: config(num_samples=90, output_dir=str(tmp_path / name))
        for name in ("serial", "backwards", "threads", "processes")
    }
    serial = generate(run["serial"])
    executor = Backwards()
    backwards = generate(run["backwards"], executor=executor)
    assert executor.order != sorted(executor.order)
    with ThreadPoolExecutor(4) as threads:
        threaded = generate(run["threads"], executor=threads)
    # Forked, so that they have what was patched.
    with processes("fork") as forked:
        distributed = generate(run["processes"], executor=forked)
    assert serial.manifest["funnel"]["rejected"]["verified"] > 0
    assert serial.rejected == backwards.rejected == threaded.rejected == distributed.rejected
    for other in (backwards, threaded, distributed):
        for key in ("digest", "files", "funnel", "quotas", "counts"):
            assert other.manifest[key] == serial.manifest[key]


@pytest.fixture(scope="module")
def of_all_sources(tmp_path_factory):
    """What has networks, programs taken out of them, suites and random programs, in all forms; and how it came out."""
    settings = [
        *LISTED,
        "ops=[matmul,conv2d,sequence]",
        "num_samples=60",
        "dims=small",
        "form=mixed",
        "exclude=[mlir_rl_eval]",
    ]
    return settings, generate(compose_config([*settings, f"output_dir={tmp_path_factory.mktemp('serial')}"])).manifest


@pytest.mark.parametrize("method", ["threads", "fork", "forkserver", "spawn"])
def test_all_sources_on_threads_and_in_processes(method, of_all_sources, tmp_path):
    settings, serial = of_all_sources
    with ThreadPoolExecutor(2) if method == "threads" else processes(method) as executor:
        made = generate(compose_config([*settings, f"output_dir={tmp_path}"]), executor=executor).manifest
    for key in ("digest", "files", "funnel", "decontamination"):
        assert made[key] == serial[key]


def test_what_a_worker_gets_and_gives_is_not_much_more_than_texts():
    run = compose_config(["storage=parquet", "dims=large", "num_samples=20000"])
    source = RandomOps(run.random_settings)
    task = source.plan(run.splits).tasks[0]
    batch = source.produce(task)
    assert len(pickle.dumps(task)) < 10 * len(batch) + 4096
    texts = sum(len(text) for block in batch.blocks for text in block.texts)
    result = result_of(batch)
    assert sorted(result.strings("mlir")) == sorted(text for block in batch.blocks for text in block.texts)
    assert len(pickle.dumps(result)) < 3 * texts


def test_a_suite_that_has_changed_is_an_error_from_a_process_too(monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.sources.suites.digest_of", lambda *_: "0" * 64)
    run = compose_config(["ops=[]", "suites=[gemm]", f"output_dir={tmp_path / 'out'}"])
    with processes("fork") as executor, pytest.raises(UserError, match="The suite gemm version 1 has the digest"):
        generate(run, executor=executor)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_killed_leaves_no_dataset(monkeypatch, tmp_path):
    parent = os.getpid()

    def killed_at_some_point(spec, form):
        if os.getpid() != parent and spec.fields["m"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return REAL(spec, form)

    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 3)
    plant_programs(monkeypatch, MATMUL, killed_at_some_point)
    run = config(num_samples=90, output_dir=str(tmp_path / "out"))
    with processes("fork") as executor, pytest.raises(UserError, match="A process of the executor has ended"):
        generate(run, executor=executor)
    assert list((tmp_path / "out").glob("[!.]*")) == []
    with processes("fork") as executor:
        monkeypatch.delattr(MATMUL, "programs")
        assert generate(run, executor=executor).manifest["counts"]


def open_paths():
    """Return what this process has open."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            continue
    return found


def test_a_forked_worker_has_no_part_in_locks(tmp_path):
    """It may outlive the process that it was forked from, where that is killed; others would wait for it for ever."""
    with Staging(tmp_path / "dataset") as staging, scratch_folder() as scratch:
        locked = {str(staging.path), str(scratch)}
        with processes("fork") as executor:
            assert not locked & executor.submit(open_paths).result()
        assert locked <= open_paths()
