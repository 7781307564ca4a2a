"""Saved configs that are drawn, and datasets with links, huge files and deep programs, for every script that reads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from functools import partial

import pytest
from forging import forge, rows_changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from part_mutations import ending
from warm_scripts import run_warm

from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.errors import UserError

BUDGET = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
DEEP = "module {" * 100_000 + "}" * 100_000
PIECES = [
    b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"&a [*a]", b"*a", b"!!python/object/apply:os.system [ls]", b"? ",
    b"|\n", b"\xff\xfe", b"\0", b"%TAG ! tag:x,2000:\n", b"---\n", b"9" * 5000, b".inf", b"1e999", b"null", b"0x7f",
    b'"\\U0010ffff"', b'"\\ud800"', b"'", b"<<: {seed: 3}", b": ", b"\t", b"2001-01-01",
]  # fmt: skip

COMMANDS = {
    "verify": lambda folder: [folder],
    "export": lambda folder: ["mlir_rl", folder],
    "measure": lambda folder: [folder],
    "reproduce": lambda folder: [folder],
    "generate": lambda folder: ["experiment=tiny", "seed=7", f'exclude=["{folder}"]'],
}
"""What is typed to have a script read a dataset."""


@settings(max_examples=80, **BUDGET)
@given(st.data())
def test_any_saved_config_is_read_or_refused(tiny, tmp_path, data):
    content = bytearray((tiny / "config.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 0, 1, 4, 60]))
        content[place : place + length] = data.draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    started = time.perf_counter()
    # Anything but an error for a person goes on.
    with contextlib.suppress(UserError):
        load_saved_config(path)
    assert time.perf_counter() - started < 10


def test_a_saved_config_of_a_gigabyte(tiny, tmp_path):
    path = shutil.copy(tiny / "config.yaml", tmp_path)
    os.truncate(path, 1 << 30)
    assert "it has more than 2097152 bytes" in ending(partial(load_saved_config, tmp_path / "config.yaml"))


def refused(script, folder, cwd):
    """Return what a script says that refuses a dataset."""
    before = {path: path.lstat().st_mtime_ns for path in cwd.rglob("*")}
    done = run_warm(script, *COMMANDS[script](str(folder)), cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    after = {path: path.lstat().st_mtime_ns for path in cwd.rglob("*")}
    changed = {path for path, _ in before.items() ^ after.items() if folder not in (path, *path.parents)}
    # A session of measuring is kept beside its dataset.
    assert [path for path in changed if path.name not in ("outputs", f".{folder.name}.measurements.jsonl")] == []
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("script", COMMANDS)
def test_deep_programs(script, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")

    def change(rows):
        rows[0].update(mlir=DEEP, sha256=hashlib.sha256(DEEP.encode()).hexdigest())

    (folder / "train/matmul_0000.mlir").write_text(DEEP)
    forge(folder, "train.parquet", rows_changed(change))
    told = refused(script, folder, tmp_path)
    # It compares texts, and parses none.
    expected = "train.parquet differs" if script == "reproduce" else "its brackets are nested more than 128"
    assert expected in told


def _link(path, outside):
    """Have something lie elsewhere, with a link in its place."""
    target = outside / path.name
    if path.exists():
        path.rename(target)
    else:
        target.mkdir()
    path.symlink_to(target)


@pytest.mark.parametrize(
    "name",
    ["train.parquet", "train", "train/matmul_0000.mlir", "manifest.json", "SHA256SUMS", "config.yaml", "mlir_rl"],
)
def test_a_link_out_of_a_dataset(name, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    outside = tmp_path / "outside"
    outside.mkdir()
    _link(folder / name, outside)
    assert f"{name} is a symbolic link, and all of a dataset must be in its folder" in refused(
        "verify", folder, tmp_path
    )


def test_no_export_is_written_through_a_link(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (folder / "mlir_rl").symlink_to(outside)
    refused("export", folder, tmp_path)
    assert [path.name for path in outside.iterdir()] == ["mine"]
