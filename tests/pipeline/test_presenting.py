"""What shows a dataset: made after it, checked, found again, and no harm to the dataset when it cannot be made."""

from __future__ import annotations

import errno
import json
import shlex
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from helpers import made_dataset, run_script
from stored_times import stored_times

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset import amending
from mlir_datagen.dataset.disk_errors import SHOWING
from mlir_datagen.dataset.finished import find_finished
from mlir_datagen.dataset.locks import locked
from mlir_datagen.dataset.measurements import record_measurements
from mlir_datagen.dataset.presented import rest_command
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline import measuring, presenting
from mlir_datagen.pipeline.presenting import present_dataset
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.verification import verify_dataset
from mlir_datagen.verification.reproduction import reproduce

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def pictured(monkeypatch):
    """Have pictures made besides, and count how often."""
    made = []

    def pictures(dataset):
        made.append(dataset.count())
        return {"pictures/some_sizes.png": PNG + bytes(made), "pictures/some_sizes.svg": b"<svg/>"}

    monkeypatch.setattr(presenting, "MAKERS", (presenting.MAKERS[0], pictures))
    monkeypatch.setattr(presenting, "PICTURE_TEXTS", {"pictures/some_sizes.png": "How large they are"})
    return made


@pytest.fixture
def plain(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "outputs" / tiny.name)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_is_made_listed_and_shown_on_the_card(plain, pictured, tmp_path):
    told = []
    present_dataset(plain, Listener(told.append, told.append))
    assert told == [2, 1, 1]
    manifest = json.loads((plain / "manifest.json").read_text())
    assert list(manifest["presentation"]["files"]) == [
        "croissant.json", "pictures/some_sizes.png", "pictures/some_sizes.svg"
    ]  # fmt: skip
    assert "![How large they are](pictures/some_sizes.png)" in (plain / "README.md").read_text()
    assert "some_sizes" not in (plain / "SHA256SUMS").read_text()
    summed = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=plain, capture_output=True, text=True)
    assert summed.returncode == 0, summed.stdout
    assert f"what shows the dataset ({SHOWING})" in verify_dataset(plain)[-1]
    assert "came back the same" in reproduce(plain, tmp_path, Listener())
    assert find_finished(plain, manifest["fingerprint"]) is not None


def test_it_is_found_again_and_made_anew_where_it_was_changed(plain, pictured):
    first = present_dataset(plain)
    before = files_of(plain)
    assert present_dataset(plain) == first == [
        plain / "croissant.json", plain / "pictures/some_sizes.png", plain / "pictures/some_sizes.svg"
    ]  # fmt: skip
    assert pictured == [24]
    assert files_of(plain) == before
    (plain / "croissant.json").unlink()
    present_dataset(plain)
    assert pictured == [24, 24]
    verify_dataset(plain)


def test_what_an_older_one_left_is_removed(plain, pictured, monkeypatch):
    present_dataset(plain)
    monkeypatch.setattr(presenting, "MAKERS", presenting.MAKERS[:1])
    (plain / "croissant.json").write_text("{}")
    present_dataset(plain)
    assert not (plain / "pictures").exists()
    assert "some_sizes" not in (plain / "README.md").read_text()
    verify_dataset(plain)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "croissant.json").write_text("{}"), r"croissant\.json was changed"),
        (lambda folder: (folder / "croissant.json").unlink(), r"croissant\.json is missing"),
        (lambda folder: (folder / "report.html").write_text("mine"), r"report\.html does not belong to it\. Move what"),
        (lambda folder: (folder / "pictures" / "other.png").write_bytes(PNG), r"other\.png does not belong to it"),
    ],
)
def test_verifying_finds_what_was_changed(harm, said, plain, pictured):
    present_dataset(plain)
    harm(plain)
    with pytest.raises(UserError, match=said):
        verify_dataset(plain)


@pytest.mark.parametrize(
    "told",
    [
        {"files": {"../escape.json": "0"}, "pictures": {}, "of": ""},
        {"files": {"train/matmul_0000.mlir": "0"}, "pictures": {}, "of": ""},
        {"files": {}, "pictures": {"pictures/x.png": "x"}, "of": ""},
        {"files": {"pictures/x.png": "0"}, "pictures": {"pictures/x.png": "<script>"}, "of": ""},
        [],
    ],
)
def test_a_strangers_manifest_names_no_other_files(told, plain):
    manifest = json.loads((plain / "manifest.json").read_text())
    (plain / "manifest.json").write_text(json.dumps({**manifest, "presentation": told}))
    with pytest.raises(UserError, match="is damaged: presentation is"):
        present_dataset(plain)


@pytest.mark.parametrize("full_after", range(6))
def test_a_full_disk_leaves_the_dataset_as_it_was(full_after, plain, pictured, monkeypatch):
    before, flushed = files_of(plain), []

    def flush(path):
        flushed.append(path)
        if len(flushed) > full_after:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(amending, "flush", flush)
    with pytest.raises(
        UserError,
        match=r"is finished, and what shows it .* cannot be written: No space left .* type python scripts/report",
    ):
        present_dataset(plain)
    assert files_of(plain) == before
    verify_dataset(plain)


@pytest.mark.parametrize("killed_after", range(7))
def test_a_kill_leaves_a_dataset_that_is_found_finished(killed_after, plain, pictured, monkeypatch):
    """Between any two files that are put in their places: three of the presentation, and three that list them."""
    fingerprint, renamed = Dataset(plain).manifest["fingerprint"], []
    rename = Path.rename

    class Killed(Exception):
        """Nothing cleans up after it."""

    def counted(path, target):
        if len(renamed) == killed_after:
            raise Killed
        renamed.append(rename(path, target))

    monkeypatch.setattr(amending.Path, "rename", counted)
    if killed_after < 6:
        with pytest.raises(Killed):
            present_dataset(plain)
    monkeypatch.setattr(amending.Path, "rename", rename)
    assert find_finished(plain, fingerprint) is not None
    present_dataset(plain)
    assert not list(plain.rglob("*.partial"))
    verify_dataset(plain)


def test_what_is_being_written_is_waited_for(plain):
    card, fingerprint = (plain / "README.md").read_text(), Dataset(plain).manifest["fingerprint"]
    (plain / "README.md").write_text("half")
    begun = threading.Event()

    def writing():
        with locked(plain, lambda: None):
            begun.set()
            time.sleep(0.2)
            (plain / "README.md").write_text(card)

    writer = threading.Thread(target=writing)
    writer.start()
    begun.wait()
    assert find_finished(plain, fingerprint) is not None
    writer.join()


def test_a_signal_says_what_makes_the_rest(plain, pictured, monkeypatch):
    def stop(dataset):
        raise KeyboardInterrupt

    before = files_of(plain)
    monkeypatch.setattr(presenting, "MAKERS", (stop,))
    with pytest.raises(KeyboardInterrupt) as caught:
        present_dataset(plain)
    (note,) = caught.value.__notes__
    assert note.endswith(f"it is finished. To make the rest: python scripts/report.py {plain}")
    assert files_of(plain) == before


def test_the_command_that_makes_the_rest_can_be_copied():
    folder = Path("/tmp/of the 'first' [run]")
    assert shlex.split(rest_command(folder)) == ["python", "scripts/report.py", str(folder)]


def test_times_that_change_have_it_made_anew(plain, pictured, monkeypatch):
    one = Measurement(1.5, 1.0, 0.5, 5, 2, 10, 1.6, False, 1000, "0a")
    session = {"machines": [{"id": "0a", "cpu": "one"}]}
    present_dataset(plain)
    record_measurements(plain, Dataset(plain).manifest, [("train", "matmul_0000", one)], session, 23)
    assert not (plain / "croissant.json").exists()
    assert not (plain / "pictures").exists()
    verify = find_finished(plain, Dataset(plain).manifest["fingerprint"])
    assert "presentation" not in verify
    present_dataset(plain)
    assert pictured == [24, 24]
    # A session of measuring that measures nothing: the times are those of a journal.
    done = measuring.Session([(row["split"], row["name"], one) for row in stored_times(plain)], [])
    monkeypatch.setattr(measuring._Measurable, "complete", lambda *_: done)
    measuring.measure_dataset(plain, Listener())
    assert pictured == [24, 24, 24]
    assert "measurements/train.parquet" in (plain / "croissant.json").read_text()


def test_the_script_makes_it_and_makes_it_again_where_it_is_missing(tmp_path):
    settings = ("experiment=tiny", "report=true")
    made = made_dataset(run_script("generate", *settings, cwd=tmp_path), tmp_path)
    assert json.loads((made / "croissant.json").read_text())["name"] == made.name
    plain = generate(compose_config(["experiment=tiny", f"output_dir={tmp_path / 'other'}"])).path
    assert plain.name == made.name
    assert not (plain / "croissant.json").exists()
    shutil.rmtree(made)
    shutil.copytree(plain, made)
    done = run_script("generate", *settings, cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "This dataset is finished already, and its files are as its manifest says."
    assert (made / "croissant.json").exists()
    verify_dataset(made)
