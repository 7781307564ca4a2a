"""What measuring gives: times that are kept apart from the dataset, also when it is stopped and goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import SCRIPTS, config, interruptible, planned_specs
from planting import CRASHES, SLOW, assert_funnel_adds_up, matmuls, plant, rejects_by_defect, starts_from
from stored_times import stored_times
from warm_scripts import run_warm

from mlir_datagen import load_dataset
from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.journal import Journal
from mlir_datagen.dataset.measurements import read_measurements, record_measurements
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.measuring import rank_correlation, repeat_measurements
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.programs.proof import Failure, Measurement
from mlir_datagen.proving.machine import machine, session
from mlir_datagen.verification import verify_dataset

TIME = Measurement(10.0, 9.0, 1.0, 5, 0, 1, 9.0, False, 100, "")
SETTINGS = compose_config(["measure=baseline"]).measure


def index_of(path):
    return pq.read_table(path / "train.parquet").to_pylist()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A checked and measured dataset. Tests must not change it."""
    folder = str(tmp_path_factory.mktemp("measured"))
    return generate(config(check__level="execute", measure__kind="baseline", output_dir=folder))


@pytest.fixture
def unmeasured(tmp_path):
    return generate(config(num_samples=40, output_dir=str(tmp_path))).path


def test_times_are_kept_apart_from_the_dataset(measured, tmp_path):
    table = stored_times(measured.path)
    index = [
        row for split in ("train", "test") for row in pq.read_table(measured.path / f"{split}.parquet").to_pylist()
    ]
    assert [(row["split"], row["name"]) for row in table] == [(row["split"], row["name"]) for row in index]
    for row in table:
        assert 0 < row["min_ns"] <= row["median_ns"]
        assert row["iqr_ns"] >= 0
        assert row["runs"] >= 5 or row["disturbed"]
        assert row["cpu_ns"] > 0
        assert row["compile_ns"] > 1_000_000
    assert_funnel_adds_up(measured)
    assert measured.manifest["funnel"]["measured"] == 24
    described = measured.manifest["measurements"]
    assert (described["programs"], described["failed"]) == (24, 0)
    disturbed = sum(row["disturbed"] for row in table)
    assert described["disturbed"] == disturbed
    assert f"The times of {disturbed} of them ({disturbed / 24:.1%}) are marked" in (
        measured.path / "README.md"
    ).read_text().replace("\n", " ")
    (here,) = described["machines"]
    assert {"id", "programs", "cpu", "cores", "frequency_governor", "os", "llvm"} == set(here)
    assert here["programs"] == 24
    assert {row["machine"] for row in table} == {here["id"]} == {machine().id}
    assert f"on one core of {here['cpu']}:" in (measured.path / "README.md").read_text()
    assert "convert-linalg-to-loops" in described["pipeline"]
    assert set(described["files"]) == {"measurements/train.parquet", "measurements/test.parquet"}
    assert "measurements/" not in (measured.path / "SHA256SUMS").read_text()
    assert not [file for file in measured.manifest["files"] if "measurements/" in file]
    plain = generate(config(check__level="execute", output_dir=str(tmp_path)))
    assert plain.manifest["digest"] == measured.manifest["digest"]
    assert [row["error"] for row in index_of(plain.path)] == [row["error"] for row in index_of(measured.path)]
    assert "measurements" not in plain.manifest


def test_a_measured_dataset_verifies_and_comes_back(measured, tmp_path):
    for script in ("verify", "reproduce"):
        done = run_warm(script, str(measured.path), cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_what_is_estimated_to_take_too_long_is_not_drawn():
    def costs(**changes):
        planned = planned_specs(config(num_samples=60, **changes))
        return [
            max(FAMILIES[family].graph(spec).flops, FAMILIES[family].graph(spec).bytes_moved)
            for programs in planned.values()
            for family, spec in programs
        ]

    assert max(costs()) > 150
    measured = {"measure__kind": "baseline", "measure__max_seconds": 1.5e-7}
    assert max(costs(**measured)) <= 150
    assert costs(**measured) == costs(limits__max_flops=150, limits__max_bytes=150)
    assert costs(measure__kind="baseline") == costs()


def test_what_runs_too_long_is_rejected(monkeypatch, tmp_path):
    run = matmuls(tmp_path, check__level="parse", measure__kind="baseline", measure__max_seconds=0.2)
    planted = plant(monkeypatch, run, slow=starts_from(SLOW))
    outcome = generate(run)
    assert_funnel_adds_up(outcome)
    reject = rejects_by_defect(outcome, planted)["slow"]
    assert reject["stage"] == "measured"
    assert reject["reason"] == "one call takes longer than measure.max_seconds, 0.2 s"
    assert len(read_measurements(outcome.path)) == 20


def journal_of(dataset, purpose="measurements"):
    return dataset.with_name(f".{dataset.name}.{purpose}.jsonl")


def start_measuring(dataset, lines):
    """Start measure.py; return it when its journal has so many lines."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "measure.py"), str(dataset)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible,
    )  # fmt: skip
    for _ in range(1200):
        if journal_of(dataset).exists() and journal_of(dataset).read_bytes().count(b"\n") >= lines:
            return process
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    pytest.fail("its journal did not grow")


def entries(journal):
    header, *lines = journal.splitlines()
    assert set(json.loads(header)) == {"dataset", "session"}
    read = [json.loads(line) for line in lines]
    return {(entry["split"], entry["name"]): entry["measured"] for entry in read}


def test_measuring_that_is_killed_goes_on_and_measures_nothing_twice(unmeasured, tmp_path):
    before = {path: path.read_bytes() for path in unmeasured.rglob("*") if path.is_file()}
    process = start_measuring(unmeasured, 6)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    journal = journal_of(unmeasured)
    first = journal.read_bytes()
    first = first[: first.rindex(b"\n") + 1]
    with journal.open("ab") as file:
        file.write(b'{"measured": {"calls_per_run": 12')  # a line that the kill has cut
    process = start_measuring(unmeasured, first.count(b"\n") + 6)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr == "Stopped; the times measured so far are kept. The same command goes on where it stopped.\n"
    second = journal.read_bytes()
    assert second.startswith(first)
    assert len(entries(second)) == second.count(b"\n") - 1 < 40
    assert {path: path.read_bytes() for path in unmeasured.rglob("*") if path.is_file()} == before

    done = run_warm("measure", str(unmeasured), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "disturbed" not in line]
    assert (lines[0], lines[-1]) == ("programs with a time: 40", f"measured: {unmeasured}")
    assert not journal.exists()
    stored = read_measurements(unmeasured)
    assert len(stored) == 40
    for place, fields in entries(second).items():
        assert stored[place] == Measurement(**fields)
    manifest = json.loads((unmeasured / "manifest.json").read_text())
    for file, digest in manifest["measurements"]["files"].items():
        assert digest == hashlib.sha256((unmeasured / file).read_bytes()).hexdigest()
    verified = run_warm("verify", str(unmeasured), cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr


def test_a_journal_that_does_not_fit_starts_over(tmp_path):
    time_, failure = Measurement(1.5, 1.0, 0.5, 5, 2, 10, 1.6, False, 1000, "0a"), Failure("executed", "it crashed")
    with Journal(tmp_path / "some", "measurements", {"dataset": "one"}) as journal:
        journal.add(("train", "matmul_0000"), time_)
        journal.add(("test", "matmul_0000"), failure)
        with (
            pytest.raises(UserError, match="Another run is measuring"),
            Journal(tmp_path / "some", "measurements", {"dataset": "one"}),
        ):
            pass
    with Journal(tmp_path / "some", "measurements", {"dataset": "one"}) as journal:
        assert journal.outcomes == {("train", "matmul_0000"): time_, ("test", "matmul_0000"): failure}
    with Journal(tmp_path / "some", "measurements", {"dataset": "two"}) as journal:
        assert journal.outcomes == {}
        assert journal.path.read_text() == '{"dataset": "two"}\n'


def test_a_program_that_fails_has_no_time(monkeypatch, tmp_path):
    run = matmuls(tmp_path, check__level="parse")
    plant(monkeypatch, run, crash=starts_from(CRASHES))
    made = generate(run).path
    done = run_warm("measure", str(made), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "disturbed" not in line]
    assert lines[:2] == ["programs with a time: 19", "programs that failed and have none: 1"]
    assert "executed: it crashed its process" in done.stdout
    described = json.loads((made / "manifest.json").read_text())["measurements"]
    assert (described["programs"], described["failed"]) == (19, 1)
    assert len(read_measurements(made)) == 19


def test_repeating_prints_how_far_two_sessions_agree_and_stores_nothing(measured, tmp_path):
    before = {path: path.read_bytes() for path in measured.path.parent.rglob("*") if path.is_file()}
    done = run_warm("measure", str(measured.path), "--repeat", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"Spearman rank correlation: (\S+)", done.stdout)[1]) > 0
    assert float(re.search(r"median relative difference: (\S+)%", done.stdout)[1]) >= 0
    assert "another machine" not in done.stdout
    assert done.stdout.splitlines()[-1] == f"measured: {measured.path}"
    assert {path: path.read_bytes() for path in measured.path.parent.rglob("*") if path.is_file()} == before


def test_repeating_is_done_with_the_times_of_this_machine(unmeasured):
    """Of a dataset with times of several; where none is of this one, all are compared, and that is said."""
    other = dataclasses.replace(machine(), cpu="Other")
    places = [(row["split"], row["name"]) for row in index_of(unmeasured)]
    own = set(places[:5])

    def store(here):
        where = {place: machine() if place in here else other for place in places}
        times = [(*place, dataclasses.replace(TIME, machine=one.id)) for place, one in where.items()]
        manifest = json.loads((unmeasured / "manifest.json").read_text())
        record_measurements(unmeasured, manifest, times, session(SETTINGS, [machine(), other]), 8)

    store(own)
    agreement = repeat_measurements(unmeasured, Listener())
    assert agreement.elsewhere == len(places) - 5
    assert agreement.programs + agreement.disturbed == 5
    assert agreement.same_conditions
    card = (unmeasured / "README.md").read_text()
    assert f"{machine().cpu} (`{machine().id}`: 5), Other (`{other.id}`: {len(places) - 5}) (the column" in card
    store(set())
    agreement = repeat_measurements(unmeasured, Listener())
    assert agreement.elsewhere == 0
    assert not agreement.same_conditions
    assert f"on one core of {other.cpu}:" in (unmeasured / "README.md").read_text()


def test_what_cannot_be_measured_is_said_in_one_paragraph(unmeasured, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, said in (
        ((str(empty),), "is not a dataset"),
        ((str(tmp_path / "missing"),), "is not a dataset"),
        ((str(unmeasured), "--repeat"), f"python scripts/measure.py {unmeasured}"),
    ):
        done = run_warm("measure", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_rank_correlation():
    rising = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(rising, rising**3) == pytest.approx(1)
    assert rank_correlation(rising, -rising) == pytest.approx(-1)
    # By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert rank_correlation(np.array([1.0, 2.0, 2.0, 4.0]), rising) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert rank_correlation(np.ones(3), rising[:3]) is None


def test_times_of_an_older_version_are_read(measured, tmp_path):
    """Those of 0.9 are in one file, with one machine for all in the manifest."""
    folder = shutil.copytree(measured.path, tmp_path / measured.path.name)
    manifest = json.loads((folder / "manifest.json").read_text())
    told = manifest["measurements"]
    table = pa.concat_tables([pq.read_table(folder / file) for file in told.pop("files")]).drop_columns(["machine"])
    shutil.rmtree(folder / "measurements")
    pq.write_table(table, folder / "measurements.parquet")
    told["sha256"] = hashlib.sha256((folder / "measurements.parquet").read_bytes()).hexdigest()
    (record,) = told.pop("machines")
    told["machine"] = {key: value for key, value in record.items() if key not in ("id", "programs")}
    manifest["environment"]["mlir_datagen"] = "0.9.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert read_measurements(folder) == read_measurements(measured.path)
    assert load_dataset(folder)[0]["median_ns"] == load_dataset(measured.path)[0]["median_ns"]
    verify_dataset(folder)
    told["machine"]["colour"] = "red"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="is damaged: measurements is"):
        read_measurements(folder)
