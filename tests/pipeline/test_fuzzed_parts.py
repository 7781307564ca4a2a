"""Parts of a stopped run, and shards, that a stranger has changed: made again or refused, and nothing else happens.

The names of changed parts agree with them, so that their digest alone does not tell. What is drawn is the same each
time; the readers run in processes of their own, as a library might end them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from part_mutations import ODD, described, ending, opened, other_bytes, other_columns, other_values, with_rows, written

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.arrow_stream import stream_of, table_of
from mlir_datagen.dataset.parts import PART_ERRORS, Parts, parts_folder, read_part
from mlir_datagen.dataset.results import RESULT_SCHEMA
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener, dataset_path, generate, planned
from mlir_datagen.pipeline.sharding import generate_shard, merge_shards
from mlir_datagen.verification import verify_dataset

SETTINGS = ["ops=[matmul,relu]", "dims=small", "num_samples=24", "suites=[gemm]", "storage=both"]
BUDGET = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
DEEP = "module {" * 100_000 + "}" * 100_000


@pytest.fixture(scope="module", autouse=True)
def small_tasks():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 8)
        yield


def configured(folder, *more):
    return compose_config([*SETTINGS, *more, f"output_dir={folder}"])


def tree(folder):
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that is stopped before its last task, and what it makes when it is not."""
    folder = tmp_path_factory.mktemp("stopped")
    config = configured(folder / "kept")
    tasks = []

    def count(programs):
        tasks.extend([programs] if programs else [])
        if len(tasks) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(config, Listener(on_written=count))
    whole = generate(configured(folder / "whole")).path
    return parts_folder(dataset_path(config)), tree(whole)


@pytest.fixture(scope="module")
def contents(stopped):
    """The parts: a suite, and two tasks of random programs."""
    found = [path.read_bytes() for path in sorted(stopped[0].glob("*.arrow"))]
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def random_task(folder):
    source, plan = planned(configured(folder))
    return source, plan.tasks[0]


def read(path, source, task):
    """Do with a part all that a run does before it writes its programs."""
    try:
        result = read_part(path).result
    except PART_ERRORS:
        return "refused"
    fits = source.fits(task, result, ())
    settled = result.settled()
    assert len(settled.measurements) == len(list(settled.programs())) == len(settled)
    assert all(bytes.fromhex(one) for one in result.identities)
    for _ in settled.written_at_once():
        pass
    return "fits" if fits else "read"


@pytest.mark.parametrize(
    ("changed", "examples"),
    [(other_bytes, 60), (other_values, 40), (other_columns, 40)],
    ids=["bytes", "values", "columns"],
)
def test_any_part_is_read_or_refused(changed, examples, contents, folder, random_task):
    seen = set()

    @settings(max_examples=examples, **BUDGET)
    @given(st.data())
    def every(data):
        path = written(folder, 1, data.draw(changed(contents)))
        told = ending(partial(read, path, *random_task))
        assert told in ("refused", "read", "fits"), told
        seen.add(told)

    every()
    assert "refused" in seen


def test_a_part_as_it_was_fits(contents, folder, random_task):
    assert ending(partial(read, written(folder, 1, contents[1]), *random_task)) == "fits"
    assert ending(partial(read, written(folder, 1, contents[2]), *random_task)) == "read"


@pytest.mark.parametrize("claim", [1 << 33, 1 << 45, (1 << 63) - 1, -2, -(1 << 63)])
def test_columns_that_say_they_are_huge(claim, contents, folder, random_task):
    """Each place that may be the size of a compressed column."""
    content = contents[1]
    # Of a frame of LZ4.
    magic = struct.pack("<I", 0x184D2204)
    places = [place for place in range(8, len(content) - 4) if content[place : place + 4] == magic]
    assert len(places) > 20
    for place in places[:3]:
        changed = content[: place - 8] + struct.pack("<q", claim) + content[place:]
        assert ending(partial(read, written(folder, 1, changed), *random_task)) == "refused"


def test_a_column_that_is_larger_than_it_may_be():
    schema = pa.schema([("a", pa.string())])
    content = stream_of(pa.table({"a": ["0" * (1 << 20)] * 8}, schema), schema)
    assert len(content) < 40_000
    assert len(table_of(content, schema, 8, 9 << 20)) == 8
    for rows, size in ((7, 9 << 20), (8, 8 << 20)):
        with pytest.raises(ValueError, match="it says that it has more than"):
            table_of(content, schema, rows, size)


def resumed(config, expected):
    """Go on with a run; tell what it came to."""
    return verdict(generate(config).path, expected)


def verdict(path, expected):
    if tree(path) == expected:
        return "the same"
    try:
        verify_dataset(path)
    except UserError:
        return "not verified"
    return "another dataset"


def around(folder):
    """Return all that is in a folder but for the dataset and what is kept of its run."""
    return sorted(path.name for path in folder.iterdir() if path.name != "outputs")


def resume(stopped, folder, number, content):
    """Go on from a run with one part changed."""
    parts, expected = stopped
    shutil.rmtree(folder / "outputs", ignore_errors=True)
    shutil.copytree(parts, folder / "outputs" / parts.name)
    written(folder / "outputs" / parts.name, number, content)
    before = around(folder)
    told = ending(partial(resumed, configured(folder / "outputs"), expected))
    assert around(folder) == before
    return told


@settings(max_examples=6, **BUDGET)
@given(st.data())
def test_a_run_goes_on_from_any_parts(stopped, contents, folder, data):
    number = data.draw(st.integers(0, 2))
    drawn = data.draw(st.one_of(other_bytes([contents[number]]), other_values([contents[number]])))
    assert resume(stopped, folder, number, drawn) in ("the same", "not verified")


FORGED = {
    "a split elsewhere": (1, lambda one: described(one, lambda values: values["result"].update(split="../../x"))),
    "a split that there is not": (1, lambda one: described(one, lambda values: values["result"].update(split="other"))),
    "weights elsewhere": (1, lambda one: described(one, lambda values: values.update(weights={"../../x": "0" * 64}))),
    "a name elsewhere": (0, lambda one: with_rows(one, lambda rows: rows[0].update(own_name="../../../x"))),
    "a name of a drawn one": (1, lambda one: with_rows(one, lambda rows: [row.update(own_name="x") for row in rows])),
    "one less": (1, lambda one: with_rows(one, lambda rows: rows.pop())),
    "one twice": (1, lambda one: with_rows(one, lambda rows: rows.append(rows[0]))),
    "another order": (1, lambda one: with_rows(one, lambda rows: rows.reverse())),
    "a suite that is deep": (0, lambda one: with_rows(one, lambda rows: rows[0].update(mlir=DEEP))),
    "a suite of another digest": (
        0,
        lambda one: described(one, lambda values: values["result"]["kept_out"].update(digest="0" * 64)),
    ),
    "keys of the manifest": (
        0,
        lambda one: described(one, lambda values: values["result"]["kept_out"].update(home="x", texts=[])),
    ),
    "no family": (1, lambda one: with_rows(one, lambda rows: rows[0].update(family=None))),
    "a failure that is none": (1, lambda one: with_rows(one, lambda rows: rows[0].update(failure='{"stage": "x"}'))),
    "a time that is none": (1, lambda one: with_rows(one, lambda rows: rows[0].update(measurement="[]"))),
    "lost ones that are none": (1, lambda one: described(one, lambda values: values["result"].update(lost=["x"]))),
}


@pytest.mark.parametrize(("number", "change"), FORGED.values(), ids=FORGED)
def test_a_part_that_its_task_does_not_make_is_made_again(number, change, stopped, contents, tmp_path):
    assert resume(stopped, tmp_path, number, change(contents[number])) == "the same"


def test_values_that_nothing_but_verifying_tells(stopped, contents, tmp_path):
    changed = with_rows(contents[1], lambda rows: rows[0].update(flops=7, mlir="module {}"))
    assert resume(stopped, tmp_path, 1, changed) == "not verified"


@pytest.fixture
def of_networks(contents):
    """A part as networks have them, with the digest of what lies where its weights are."""

    def content(name, header, digest):
        def change(rows):
            del rows[1:]
            rows[0].update(own_name=name, split="neural_nets")

        def say(values):
            values.update(header=header, number=0, weights={name: digest})
            values["result"].update(split="neural_nets", kept_out=None)

        return described(with_rows(contents[1], change), say)

    return content


@pytest.mark.parametrize("kind", ["a file", "a name elsewhere", "a link", "a folder that is a link"])
def test_weights_come_from_the_parts_alone(kind, of_networks, tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "x.safetensors").write_bytes(b"mine")
    parts = parts_folder(tmp_path / "dataset")
    parts.mkdir()
    weights, name = parts / "weights", "../../outside/x" if kind == "a name elsewhere" else "x"
    if kind == "a folder that is a link":
        weights.symlink_to(outside)
    else:
        weights.mkdir()
    if kind == "a file":
        shutil.copy(outside / "x.safetensors", weights)
    elif kind == "a link":
        (weights / "x.safetensors").symlink_to(outside / "x.safetensors")
    header = hashlib.sha256(b"{}").hexdigest()
    written(parts, 0, of_networks(name, header, hashlib.sha256(b"mine").hexdigest()))
    found = Parts(tmp_path / "dataset", root, {}).next(lambda result, weights: True)
    assert (found is not None) == (kind == "a file")
    assert [path.name for path in outside.iterdir()] == ["x.safetensors"]
    assert [path.name for path in root.rglob("*.safetensors")] == (["x.safetensors"] if kind == "a file" else [])
    assert (outside / "x.safetensors").read_bytes() == b"mine"


def test_parts_that_are_no_files(stopped, tmp_path):
    parts, expected = stopped
    copied = shutil.copytree(parts, tmp_path / "outputs" / parts.name)
    paths = sorted(copied.glob("*.arrow"))
    for path in paths[1:]:
        path.unlink()
    os.mkfifo(paths[1])
    paths[2].touch()
    os.truncate(paths[2], 1 << 40)
    assert ending(partial(resumed, configured(tmp_path / "outputs"), expected)) == "the same"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return [generate_shard(configured(folder, f"shard={number}/2")).path for number in (1, 2)]


def merged(shards, folder, expected):
    path = merge_shards(shards, folder).path
    return verdict(path, expected)


def merge(shards, folder, expected, change):
    """Merge shards the first of which is changed."""
    shutil.rmtree(folder / "shards", ignore_errors=True)
    copies = [shutil.copytree(one, folder / "shards" / one.name) for one in shards]
    change(copies[0])
    before = around(folder)
    told = ending(partial(merged, copies, folder / "outputs", expected))
    assert around(folder) == before
    left = [path.name for path in (folder / "outputs").glob("*")]
    assert len(left) == (0 if told.startswith("error: ") else 1)
    shutil.rmtree(folder / "outputs", ignore_errors=True)
    return told


def exchanged_part(folder, number, content):
    """Have a shard name a changed part as its own."""
    path = written(folder, number, content)
    described_shard = json.loads((folder / "shard.json").read_text())
    described_shard["parts"][number] = path.name
    (folder / "shard.json").write_text(json.dumps(described_shard))


@settings(max_examples=8, **BUDGET)
@given(st.data())
def test_any_shards_are_merged_or_refused(shards, stopped, folder, data):
    content = sorted(shards[0].glob("*.arrow"))[0].read_bytes()
    changed = data.draw(st.one_of(other_bytes([content]), other_values([content]), other_columns([content])))
    told = merge(shards, folder, stopped[1], lambda shard: exchanged_part(shard, 0, changed))
    assert told in ("the same", "not verified") or told.startswith("error: "), told


@settings(max_examples=40, **BUDGET)
@given(st.data())
def test_whatever_a_shard_says_of_itself(shards, stopped, folder, data):
    said = json.loads((shards[0] / "shard.json").read_text())
    key = data.draw(st.sampled_from(sorted(said)))
    said[key] = data.draw(st.sampled_from([*ODD, {"llvm": ODD}, [said["parts"][0]] * 2, ["../../x"]]))

    def change(shard):
        (shard / "shard.json").write_text(json.dumps(said))

    told = merge(shards, folder, stopped[1], change)
    assert told == "the same" or told.startswith("error: "), told
    assert len(told) < 5000


def _other_config(shard):
    (shard / "config.yaml").write_text((shard / "config.yaml").read_text().replace("num_samples: 24", "num_samples: 9"))


def _huge_config(shard):
    os.truncate(shard / "config.yaml", 1 << 30)


def _pipe_for_config(shard):
    (shard / "config.yaml").unlink()
    os.mkfifo(shard / "config.yaml")


def _exchanged_between_tasks(shard):
    # Each is whole, and of the same run: only the task's place says that it is another one's.
    said = json.loads((shard / "shard.json").read_text())
    exchanged_part(shard, 0, (shard / said["parts"][1]).read_bytes())


def _deep_text(shard):
    content = min(shard.glob("*.arrow")).read_bytes()
    exchanged_part(shard, 0, with_rows(content, lambda rows: rows[0].update(mlir=DEEP)))


def _so_many_shards(shard):
    for path in (shard, shard.with_name(shard.name.replace("-1-of", "-2-of"))):
        said = json.loads((path / "shard.json").read_text())
        (path / "shard.json").write_text(json.dumps({**said, "of": 10**18}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_config, "has the fingerprint"),
        (_huge_config, "cannot be read: it has more than 2097152 bytes"),
        (_pipe_for_config, "it is not a regular file"),
        (_exchanged_between_tasks, "has other programs than are drawn there"),
        (_deep_text, "has a program that is not given to MLIR's parser: its brackets"),
        (_so_many_shards, "999999999999999998 are missing: shard=3/1000000000000000000"),
    ],
)
def test_shards_that_are_refused(change, said, shards, stopped, tmp_path):
    assert said in merge(shards, tmp_path, stopped[1], change)


def test_the_schema_of_a_part_is_that_of_results(contents):
    assert opened(contents[1])[0].schema.equals(RESULT_SCHEMA)
