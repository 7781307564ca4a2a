"""A run that is stopped, however, goes on where it was, and comes to the bytes of an undisturbed one."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from helpers import SCRIPTS
from planting import REAL, plant_programs
from pyarrow import ipc
from warm_scripts import run_warm
from whole_trees import broken_sometimes, tree

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.parts import parts_folder
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.pipeline.sharding import generate_shard
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.sources.networks import Networks

MATMUL = FAMILIES["matmul"]
MIXED = ["ops=[matmul,relu,sequence]", "dims=small", "num_samples=140", "form=mixed", "suites=[conv]", "storage=both"]
CHECKED = ["ops=[matmul,pooling]", "dims=small", "num_samples=32", "check=execute"]
PARSED = ["ops=[matmul,conv2d]", "dims=small", "num_samples=100"]
NETWORKS = [
    "ops=[matmul]", "dims=small", "num_samples=20", "models=[simple_net]", "extract=ops", "converter=manual",
    "converter.weights=arguments", "save_weights=true",
]  # fmt: skip
SUITE = "+suites.mine={version: 1, digest: null, models: [simple_net], converter: manual, window: 1, stride: 1}"


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 8)
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_SLOW_TASK", 8)


def configured(folder, settings):
    return compose_config([*settings, f"output_dir={folder}"])


def made_in(folder):
    """Return the digests of all files of the only dataset in a folder."""
    (dataset,) = folder.iterdir()
    return tree(dataset)


class Stop(Listener):
    """Interrupts a run when so many programs were tried."""

    def __init__(self, after):
        object.__setattr__(self, "resumed", [])
        super().__init__(on_written=self._written, on_resume=self.resumed.append)
        object.__setattr__(self, "left", after)

    def _written(self, count):
        object.__setattr__(self, "left", self.left - count)
        if self.left < 0:
            raise KeyboardInterrupt


def parts_of(folder):
    return sorted(folder.glob(".*.parts/*.arrow"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What each list of settings makes when nothing stops it."""
    found = {}

    def of(settings):
        if id(settings) not in found:
            folder = tmp_path_factory.mktemp("undisturbed")
            started = time.perf_counter()
            generate(configured(folder, settings))
            found[id(settings)] = made_in(folder), time.perf_counter() - started
        return found[id(settings)]

    return of


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_point(seed, undisturbed, monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, broken_sometimes(REAL))
    expected, seconds = undisturbed(MIXED)
    config = configured(tmp_path, MIXED)
    run = multiprocessing.get_context("fork").Process(target=generate, args=(config,))
    run.start()
    time.sleep(random.Random(seed).uniform(0, seconds))
    run.kill()
    run.join()
    manifest = generate(config).manifest
    assert manifest["funnel"]["rejected"]["verified"] > 0
    assert made_in(tmp_path) == expected
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("of", ["dataset", "shard"])
def test_killed_when_it_was_just_published(of, tmp_path):
    config = configured(tmp_path, [*PARSED, *(["shard=1/1"] if of == "shard" else [])])
    make = generate_shard if of == "shard" else generate

    def killed():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("mlir_datagen.pipeline.run.remove_parts", lambda path: os.kill(os.getpid(), signal.SIGKILL))
            make(config)

    run = multiprocessing.get_context("fork").Process(target=killed)
    run.start()
    run.join()
    assert len(list(tmp_path.iterdir())) == 2
    assert make(config).existed
    assert len(list(tmp_path.iterdir())) == 1


def stopped(folder, settings, after):
    with pytest.raises(KeyboardInterrupt) as interrupt:
        generate(configured(folder, settings), Stop(after))
    return interrupt.value


def test_what_was_proven_is_not_proven_again(undisturbed, monkeypatch, tmp_path):
    expected, _ = undisturbed(CHECKED)
    note = stopped(tmp_path, CHECKED, 20).__notes__
    assert len(parts_of(tmp_path)) == 2
    assert "Stopped; 16 programs are made and kept" in note[0]
    proven = []

    real = BatchProver.outcomes
    monkeypatch.setattr(
        BatchProver, "outcomes", lambda self, programs: real(self, proven.append(list(programs)) or proven[-1])
    )
    stop = Stop(1000)
    generate(configured(tmp_path, CHECKED), stop)
    assert stop.resumed == [16]
    assert sum(map(len, proven)) == 16
    assert made_in(tmp_path) == expected


def test_networks_are_not_converted_again(undisturbed, monkeypatch, tmp_path):
    expected, _ = undisturbed(NETWORKS)
    stopped(tmp_path, NETWORKS, 1)
    assert len(parts_of(tmp_path)) == 1
    monkeypatch.setattr(Networks, "_proofs", lambda self, jobs: pytest.fail("a network is converted again"))
    generate(configured(tmp_path, NETWORKS))
    assert made_in(tmp_path) == expected
    assert any(name.parts[0] == "weights" for name in expected)


def test_networks_of_suites_are_not_converted_again(undisturbed, monkeypatch, tmp_path):
    """A suite may have a network of the run's name that is another: whose weights those are is kept apart."""
    settings = [*NETWORKS, "models.simple_net.sizes.batch=2", SUITE]
    expected, _ = undisturbed(settings)
    # Stopped among the random programs: after both networks, what is taken out of the one, and the suite.
    stopped(tmp_path, settings, 2 * len([name for name in expected if name.parts[0] == "extracted"]) + 10)
    assert len(parts_of(tmp_path)) >= 4
    monkeypatch.setattr(Networks, "_proofs", lambda self, jobs: pytest.fail("a network is converted again"))
    resumed = []
    generate(configured(tmp_path, settings), Listener(on_resume=resumed.append))
    assert resumed[0] > 2
    assert made_in(tmp_path) == expected


def _cut(parts):
    parts[1].write_bytes(parts[1].read_bytes()[:-9])


def _flipped(parts):
    content = bytearray(parts[1].read_bytes())
    content[len(content) // 2] ^= 1
    parts[1].write_bytes(content)


def _exchanged(parts):
    contents = [part.read_bytes() for part in parts]
    for part, content in zip(parts[:2], (contents[1], contents[0]), strict=True):
        part.unlink()
        part.with_name(f"{part.name[:8]}-{hashlib.sha256(content).hexdigest()}.arrow").write_bytes(content)


def _missing(parts):
    parts[1].unlink()


def _linked(parts):
    target = parts[1].with_name("elsewhere")
    parts[1].rename(target)
    parts[1].symlink_to(target)


def _beside(parts):
    (parts[0].parent / "notes.txt").write_text("mine")
    (parts[0].parent / "folder").mkdir()


def _forged(parts):
    """Give a part another text, with a name that says so."""
    with ipc.open_stream(parts[1]) as stream:
        table, schema = stream.read_all(), stream.schema
    texts = pa.array(["module {}\n"] * len(table))
    table = table.set_column(table.schema.get_field_index("mlir"), "mlir", texts).cast(schema)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    content = bytes(sink.getvalue())
    parts[1].unlink()
    parts[1].with_name(f"{parts[1].name[:8]}-{hashlib.sha256(content).hexdigest()}.arrow").write_bytes(content)


def _of_another_run(parts):
    content = parts[1].read_bytes()
    other = content.replace(b'"header":"', b'"header":"0')[: len(content)]
    parts[1].unlink()
    parts[1].with_name(f"{parts[1].name[:8]}-{hashlib.sha256(other).hexdigest()}.arrow").write_bytes(other)


@pytest.mark.parametrize(
    "change",
    [_cut, _flipped, _exchanged, _missing, _linked, _beside, _forged, _of_another_run],
    ids=lambda one: one.__name__,
)
def test_a_part_that_is_not_as_it_was_is_made_again(change, undisturbed, tmp_path):
    expected, _ = undisturbed(PARSED)
    stopped(tmp_path, PARSED, 60)
    parts = parts_of(tmp_path)
    assert len(parts) == 7
    change(parts)
    generate(configured(tmp_path, PARSED))
    assert made_in(tmp_path) == expected
    assert not parts_folder(next(tmp_path.iterdir())).exists()


def test_a_part_that_changes_meanwhile_is_an_error_after_which_it_goes_on(undisturbed, tmp_path):
    expected, _ = undisturbed(PARSED)
    stopped(tmp_path, PARSED, 60)
    parts = parts_of(tmp_path)
    config = configured(tmp_path, PARSED)
    with pytest.raises(UserError, match=r"was changed while the run went on from it\. Type the same command again"):
        generate(config, Listener(on_start=lambda total: _flipped(parts)))
    generate(config)
    assert made_in(tmp_path) == expected


def test_a_config_that_cannot_be_fulfilled_leaves_nothing(monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, lambda spec, form: "module {")
    with pytest.raises(UserError, match="programs in a row was kept"):
        generate(configured(tmp_path, ["ops=[matmul]", "num_samples=400", "dims=large"]))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_and_then_is_not(undisturbed, monkeypatch, tmp_path):
    """With a limit on the size of a file, as no other disk is at hand."""
    settings = ["ops=[matmul]", "dims=large", "num_samples=3000", "storage=parquet"]
    arguments = [*settings, "report=false", f"output_dir={tmp_path}"]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 200; exec "$@"', "-", sys.executable, str(SCRIPTS / "generate.py"), *arguments],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert limited.returncode == 2, limited
    assert "File too large" in " ".join(limited.stderr.split())
    assert "Traceback" not in limited.stderr
    done = run_warm("generate", *arguments, cwd=tmp_path)
    assert done.returncode == 0
    (dataset,) = (path for path in tmp_path.iterdir() if (path / "manifest.json").exists())
    assert run_warm("verify", str(dataset), cwd=tmp_path).returncode == 0
    shutil.rmtree(dataset)
