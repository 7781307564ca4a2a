"""Finished datasets, and the one that is made of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections import Counter
from functools import partial

import pytest
from forging import forge, rows_changed
from helpers import config, made_dataset
from merging import RATIOS, count, hashes, made, manifest, manifest_changed, merge, rows, suite, tree
from warm_scripts import run_warm

from mlir_datagen.config import parse_config
from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.suites import suite_names
from mlir_datagen.dataset.measurements import read_measurements, record_measurements
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener, generate, preview
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.proving.machine import machine, session
from mlir_datagen.verification import verify_dataset
from mlir_datagen.verification.reproduction import reproduce


@pytest.fixture(scope="module")
def merged(tmp_path_factory, seeds):
    return merge(seeds, tmp_path_factory.mktemp("merged")).path


def test_each_program_is_there_once(seeds, merged):
    told, kept, before = manifest(merged), set(), set()
    for split in RATIOS:
        expected = set().union(*(hashes(seed, split) for seed in seeds))
        assert len(hashes(merged, split)) == len(expected)
        assert set(hashes(merged, split)) == expected
        kept |= expected
    assert len(kept) == count(merged)
    for seed, parent in zip(seeds, told["parents"], strict=True):
        own = {one for split in RATIOS for one in hashes(seed, split)}
        new = own - before
        before.update(own)
        assert (parent["kept"], parent["duplicates"], parent["unseen"]) == (len(new), len(own - new), 0)
        assert (parent["programs"], parent["dataset"]) == (100, seed.name)
        assert parent["fingerprint"] == manifest(seed)["fingerprint"]
        assert parent["digest"] == manifest(seed)["digest"]
    assert told["funnel"]["attempted"] == 300
    assert told["funnel"]["rejected"] == {"unique": 300 - len(kept), "unseen": 0}
    assert told["funnel"]["kept"] == len(kept)
    assert not (merged / "rejects.jsonl").exists()
    assert told["funnel"]["rejected"]["unique"] > 40


def test_columns_stay_as_they_are_and_programs_are_numbered_anew(seeds, merged):
    place = ("name", "file", "index")
    for split in RATIOS:
        from_parents = {}
        for seed in seeds:
            for row in rows(seed, split):
                from_parents.setdefault(row["sha256"], {key: row.get(key) for key in row if key not in place})
        for number, row in enumerate(rows(merged, split)):
            assert row["name"] == f"{row['family']}_{number:04d}"
            assert row["index"] == number
            assert (merged / row["file"]).read_text() == row.pop("mlir")
            first = from_parents[row["sha256"]]
            first.pop("mlir", None)
            assert {key: row[key] for key in row if key not in place} == first
    assert {row["seed"] for row in rows(merged, "train")} == {0, 1, 2}


def test_the_order_numbers_the_programs(seeds, merged, tmp_path):
    first, second, third = seeds
    again = merge(seeds, tmp_path / "again").path
    assert tree(again) == tree(merged)
    assert hashes(again, "train")[: len(rows(first, "train"))] == hashes(first, "train")
    other = merge([third, first, second], tmp_path).path
    assert other.name != merged.name
    assert manifest(other)["digest"] != manifest(merged)["digest"]
    assert hashes(other, "train")[: len(rows(third, "train"))] == hashes(third, "train")
    assert set(hashes(other, "train")) == set(hashes(again, "train"))


def test_it_is_found_finished_wherever_its_parents_are(seeds, merged, tmp_path):
    moved = [shutil.copytree(seed, tmp_path / f"moved{number}") for number, seed in enumerate(seeds)]
    before = tree(merged)
    found = merge(moved, merged.parent)
    assert found.existed
    assert found.path == merged
    assert tree(merged) == before


@pytest.mark.parametrize("storage", ["both", "files", "parquet"])
def test_it_is_verified_and_reproduced(storage, seeds, tmp_path):
    path = merge(seeds, tmp_path / "merged", f"storage={storage}", "programs_per_file=40").path
    assert "Each is in the split that its content decides" in " ".join(verify_dataset(path))
    assert "came back the same" in reproduce(path, tmp_path, Listener())
    assert (path / "train-00000-of-00003.parquet").exists()
    assert (path / "train").exists() == (storage != "parquet")


def test_hugging_face_loads_it(merged):
    import datasets

    loaded = datasets.load_dataset("parquet", data_files={s: str(merged / f"{s}.parquet") for s in RATIOS})
    assert {split: len(loaded[split]) for split in RATIOS} == {split: len(rows(merged, split)) for split in RATIOS}


def test_a_merged_one_is_merged_again(seeds, merged, tmp_path):
    pair = merge(seeds[:2], tmp_path / "pair").path
    path = merge([pair, seeds[2]], tmp_path / "again").path
    assert {one: set(hashes(path, one)) for one in RATIOS} == {one: set(hashes(merged, one)) for one in RATIOS}
    assert hashes(path, "val") == hashes(merged, "val")
    verify_dataset(path)


def test_other_proportions(seeds, tmp_path):
    """What two splits have is in the smaller one."""
    other = made(tmp_path / "parents", seed=5, split_ratios={"train": 1, "test": 1})
    outcome = merge([seeds[0], other], tmp_path / "merged")
    path = outcome.path
    of = {split: set(hashes(path, split)) for split in RATIOS}
    everything = {one for split in RATIOS for one in hashes(seeds[0], split)}
    everything |= {one for split in ("train", "test") for one in hashes(other, split)}
    assert sum(map(len, of.values())) == len(set().union(*of.values())) == len(everything)
    assert of["val"] == set(hashes(seeds[0], "val"))
    assert of["test"] == (set(hashes(seeds[0], "test")) | set(hashes(other, "test"))) - of["val"]
    assert set(hashes(seeds[0], "train")) & of["test"]
    assert manifest(path)["funnel"]["rejected"]["unique"] == 200 - len(everything)
    assert any("The proportions of the splits differ" in remark for remark in outcome.remarks)
    assert "split_ratios: null" in (path / "config.yaml").read_text()
    assert verify_dataset(path)[3].startswith("None that was drawn computes")
    reproduce(path, tmp_path, Listener())


def test_what_one_lists_no_other_has_drawn(seeds, listing, tmp_path):
    path = merge([seeds[0], listing], tmp_path).path
    suite_there = hashes(listing, "suites.mine")
    assert hashes(path, "suites.mine") == suite_there
    assert [row["name"] for row in rows(path, "suites.mine")] == [f"program_{number}" for number in range(5)]
    assert not {one for split in RATIOS for one in hashes(path, split)} & set(suite_there)
    told = manifest(path)
    assert [one["unseen"] for one in told["parents"]] == [5, 0]
    assert told["funnel"]["rejected"]["unseen"] == told["decontamination"]["left_out"] == 5
    digest = manifest(listing)["decontamination"]["against"]["suites.mine"]["digest"]
    against = {"version": 1, "digest": digest, "size": 5, "programs": 5, "kept": 5}
    assert told["decontamination"]["against"] == {"suites.mine": against}
    verify_dataset(path)
    other = merge([listing, path], tmp_path).path
    assert hashes(other, "suites.mine") == suite_there
    assert manifest(other)["parents"][1]["duplicates"] >= 5


def test_what_one_keeps_out_all_do(seeds, tmp_path):
    kept_out = made(tmp_path / "kept_out", num_samples=10, seed=0)
    careful = made(tmp_path / "careful", exclude=[str(kept_out)], seed=7)
    path = merge([careful, seeds[0]], tmp_path / "merged").path
    gone = {one for split in RATIOS for one in hashes(kept_out, split)}
    assert not gone & {one for split in RATIOS for one in hashes(path, split)}
    told = manifest(path)
    assert gone <= {one for split in RATIOS for one in hashes(seeds[0], split)}
    assert [one["unseen"] for one in told["parents"]] == [0, 10]
    assert told["decontamination"]["against"] == {
        str(kept_out): {"digest": manifest(kept_out)["digest"], "programs": 10}
    }
    assert "that no program is one of those that exclude names" in verify_dataset(path)[-1]
    both = made(tmp_path / "careful", exclude=[str(kept_out)], seed=8)
    shutil.rmtree(kept_out)
    # All of them have done it already.
    path = merge([careful, both], tmp_path / "merged").path
    assert manifest(path)["decontamination"]["against"][str(kept_out.resolve())]["programs"] == 10
    verify_dataset(path)
    with pytest.raises(UserError, match=r"exclude names .* which is neither a suite nor a dataset"):
        merge([careful, seeds[0]], tmp_path / "other")


def test_suites_that_one_keeps_out(seeds, tmp_path):
    careful = made(tmp_path, exclude=["mlir_rl_eval"], num_samples=10)
    told = manifest(merge([careful, seeds[0]], tmp_path / "merged").path)
    assert told["decontamination"]["against"]["suites.mlir_rl_eval"]["programs"] == 16
    assert "mlir_rl_eval" in suite_names()


def test_graphs_and_forms(tmp_path):
    """One program in two forms is one program, and so are two that two families draw."""
    settings = ["ops=[matmul,relu,sequence,dag]", "dims=small", "num_samples=40", f"output_dir={tmp_path}"]
    parents = [
        generate(compose_config([*settings, "seed=1"])).path,
        generate(compose_config([*settings, "seed=1", "form=mixed", "ops.sequence.length=2"])).path,
        generate(compose_config([*settings, "seed=2", "form=named"])).path,
    ]
    path = merge(parents, tmp_path / "merged").path
    texts = {one for parent in parents for split in ("train", "test") for one in hashes(parent, split)}
    assert count(path) < len(texts)
    specs = Counter((row["family"], row["spec"]) for split in ("train", "test") for row in rows(path, split))
    assert max(specs.values()) == 1
    verify_dataset(path)


def test_networks_and_what_is_taken_out_of_them(seeds, tmp_path):
    settings = ["ops=[]", "models=[simple_net]", "converter=manual", "storage=parquet", f"output_dir={tmp_path}"]
    one = generate(compose_config([*settings, "seed=1", "extract=ops"])).path
    other = generate(compose_config([*settings, "seed=2", "extract=blocks"])).path
    path = merge([one, other, seeds[0]], tmp_path / "merged").path
    assert len(rows(path, "neural_nets")) == 1
    extracted = hashes(path, "extracted")
    # Both number what they take out.
    assert extracted == [*hashes(one, "extracted"), *hashes(other, "extracted")]
    names = [f"{row['family']}_{number:04d}" for number, row in enumerate(rows(path, "extracted"))]
    assert [row["name"] for row in rows(path, "extracted")] == names
    assert [parent["duplicates"] for parent in manifest(path)["parents"]] == [0, 1, 0]
    assert "which networks there are" in verify_dataset(path)[-1]

    def change(networks):
        text = networks[0]["mlir"] + "\n"
        networks[0].update(mlir=text, sha256=hashlib.sha256(text.encode()).hexdigest())

    forge(other, "neural_nets.parquet", rows_changed(change))
    said = f"neural_nets/simple_net is another program in {one} than in {other}"
    with pytest.raises(UserError, match=re.escape(said)):
        merge([one, other], tmp_path / "other")


def test_a_suite_of_which_each_has_lost_programs(listing, seeds, tmp_path):
    """It keeps its digest, and is complete if there is each of its programs."""
    second = made(tmp_path / "second", ("matmul",), suites={"mine": suite_of(listing)}, storage="parquet")
    for parent, lost in ((listing, (0,)), (second, (3, 4))):
        copy = shutil.copytree(parent, tmp_path / f"{lost[0]}")
        forge(copy, "suites/mine.parquet", rows_changed(partial(without, lost)))
        manifest_changed(**{"counts__suites.mine": {"matmul": 5 - len(lost)}})(copy)
    folders = [tmp_path / "3", tmp_path / "0"]
    path = merge(folders, tmp_path / "merged").path
    assert [row["name"] for row in rows(path, "suites.mine")] == [f"program_{number}" for number in (1, 2, 3, 4, 0)]
    verify_dataset(path)
    assert "is incomplete" not in (path / "README.md").read_text()
    path = merge([tmp_path / "3", seeds[1]], tmp_path / "merged").path
    assert "**suites.mine is incomplete**: 3 of its 5" in (path / "README.md").read_text()
    verify_dataset(path)


def suite_of(listing):
    return suite(json.loads(row["spec"]) for row in rows(listing, "suites.mine"))


def without(places, all_rows):
    for place in sorted(places, reverse=True):
        del all_rows[place]


HERE = machine()
OTHER = dataclasses.replace(HERE, cpu="Other")
TIME = Measurement(10.0, 9.0, 1.0, 5, 0, 1, 9.0, False, 100, "")
SETTINGS = compose_config(["measure=baseline"]).measure


def measured(dataset, folder, without=0, where=HERE, **changes):
    """Return a copy that has a time for each program but some: its seed, and its number."""
    time = dataclasses.replace(TIME, machine=where.id)
    copy = shutil.copytree(dataset, folder / dataset.name)
    times = [
        (split, row["name"], dataclasses.replace(time, median_ns=float(1000 * (row["seed"] + 1) + row["index"])))
        for split in RATIOS
        for row in rows(dataset, split)
    ][without:]
    record_measurements(copy, manifest(copy), times, {**session(SETTINGS, [where]), **changes}, without)
    return copy


@pytest.mark.parametrize("where", [HERE, OTHER])
def test_times_keep_their_machines(where, seeds, tmp_path):
    parents = [measured(seeds[0], tmp_path, without=3), measured(seeds[2], tmp_path, where=where)]
    path = merge(parents, tmp_path / "merged").path
    told = manifest(path)["measurements"]
    assert (told["programs"], told["failed"]) == (count(path) - 3, 3)
    assert [record["cpu"] for record in told["machines"]] == list(dict.fromkeys([HERE.cpu, where.cpu]))
    places = {
        (row["sha256"], row["seed"]): row["index"]
        for parent in parents for split in RATIOS for row in rows(parent, split)
    }  # fmt: skip
    times = read_measurements(path)
    for split in RATIOS:
        for row in rows(path, split):
            if (time := times.get((split, row["name"]))) is not None:
                assert time.median_ns == 1000 * (row["seed"] + 1) + places[row["sha256"], row["seed"]]
                assert time.machine == (HERE if row["seed"] == rows(seeds[0], "train")[0]["seed"] else where).id
    verify_dataset(path)


@pytest.mark.parametrize("without", [True, False])
def test_times_that_do_not_go_together(without, seeds, tmp_path):
    other = seeds[1] if without else measured(seeds[1], tmp_path, pipeline="other")
    outcome = merge([measured(seeds[0], tmp_path), other], tmp_path / "merged")
    assert "measurements" not in outcome.manifest
    why = f"{other.name} has none" if without else "the pipeline of the sessions differ"
    assert outcome.remarks[-1].startswith(f"The measured times are left out: {why}. python scripts/measure.py ")
    verify_dataset(outcome.path)


def test_what_was_stopped_is_cleared(seeds, tmp_path):
    path = preview(compose_config(["ops=[]", f"merge=[{seeds[0]},{seeds[1]}]", f"output_dir={tmp_path}"])).path
    left = path.with_name(f".{path.name}.partial") / "train"
    left.mkdir(parents=True)
    (left / "matmul_0000.mlir").write_text("half")

    def stop(count):
        raise KeyboardInterrupt

    settings = ["ops=[]", f"merge=[{seeds[0]},{seeds[1]}]", f"output_dir={tmp_path}"]
    with pytest.raises(KeyboardInterrupt):
        generate(compose_config(settings), Listener(on_written=stop))
    assert not list(tmp_path.iterdir())
    left.mkdir(parents=True)
    verify_dataset(generate(compose_config(settings)).path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_other_configs_are_as_before(seeds):
    saved = config(("matmul",)).to_saved()
    assert "merge" not in saved
    assert parse_config({**saved, "merge": []}).fingerprint == config(("matmul",)).fingerprint


def test_from_the_command_line(seeds, tmp_path):
    done = run_warm("merge", str(seeds[0]), str(seeds[1]), "-o", "a ]b", "--storage", "parquet", cwd=tmp_path)
    path = made_dataset(done, tmp_path)
    assert path.name.startswith("merged-")
    assert f"{seeds[0].name}: 100 of 100 programs kept; duplicates: 0" in done.stdout
    once = run_warm("merge", str(seeds[0]), cwd=tmp_path)
    assert (once.returncode, "at least two different ones" in " ".join(once.stderr.split())) == (2, True)
    shard = tmp_path / "shard"
    shard.mkdir()
    (shard / "shard.json").write_text("{}")
    mixed = run_warm("merge", str(seeds[0]), str(shard), cwd=tmp_path)
    assert (mixed.returncode, "is a shard of one. Merge all shards" in " ".join(mixed.stderr.split())) == (2, True)
