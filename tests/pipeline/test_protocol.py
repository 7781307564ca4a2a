"""The protocol of sources, and the one path from them to the disk."""

from __future__ import annotations

import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing

import pytest
from helpers import config

from mlir_datagen.config.commands import network_settings
from mlir_datagen.config.compose import compose_config
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


@pytest.fixture
def sources(tmp_path):
    run = compose_config(LISTED)
    with closing(Networks(network_settings(run), tmp_path)) as networks:
        yield {
            "random": RandomOps(config(num_samples=40).random_settings),
            "networks": networks,
            "extraction": Extraction(networks, run.extract),
            "suites": Suites(run.suites.values(), networks),
        }


@pytest.mark.parametrize("name", ["random", "networks", "extraction", "suites"])
def test_a_pickled_task_makes_the_same_programs(sources, name):
    source = sources[name]
    plan = source.plan({"train": 30, "test": 10} if name == "random" else {})
    assert plan.tasks
    for task in plan.tasks:
        pickled = pickle.dumps(task)
        assert len(pickled) < 4096
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


def test_the_order_in_which_tasks_are_done_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 3)
    monkeypatch.setattr(MATMUL, "program", broken_sometimes(MATMUL.program))
    run = {name: config(num_samples=90, output_dir=str(tmp_path / name)) for name in ("serial", "backwards", "threads")}
    serial = generate(run["serial"])
    executor = Backwards()
    backwards = generate(run["backwards"], executor=executor)
    assert executor.order != sorted(executor.order)
    with ThreadPoolExecutor(4) as threads:
        threaded = generate(run["threads"], executor=threads)
    assert serial.manifest["funnel"]["rejected"]["verified"] > 0
    assert serial.rejected == backwards.rejected == threaded.rejected
    for other in (backwards, threaded):
        for key in ("digest", "files", "funnel", "quotas", "counts"):
            assert other.manifest[key] == serial.manifest[key]


def test_listed_sources_on_threads(tmp_path):
    settings = [*LISTED, "ops=[matmul]", "num_samples=20", "dims=small"]
    serial = generate(compose_config([*settings, f"output_dir={tmp_path}/serial"]))
    with ThreadPoolExecutor(2) as threads:
        threaded = generate(compose_config([*settings, f"output_dir={tmp_path}/threads"]), executor=threads)
    for key in ("digest", "files", "funnel", "decontamination"):
        assert threaded.manifest[key] == serial.manifest[key]
