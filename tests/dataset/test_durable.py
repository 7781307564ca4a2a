"""That what a folder has is on the disk before its manifest is."""

from __future__ import annotations

import os

import pytest

from mlir_datagen.dataset import durable


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train" / "0").mkdir(parents=True)
    for name in ("manifest", "train/a", "train/0/b"):
        (tmp_path / name).write_text("x")
    return tmp_path


def test_few_files_are_flushed_one_by_one_with_their_folders(folder, monkeypatch):
    (folder / "link").symlink_to(folder.parent)
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.readlink(f"/proc/self/fd/{file}")))
    durable.flush_folder(folder)
    everything = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    assert sorted(flushed) == sorted(map(str, everything))


def test_many_files_are_flushed_at_once(folder, monkeypatch):
    monkeypatch.setattr(durable, "_MOST_ONE_BY_ONE", 2)
    monkeypatch.setattr(os, "fsync", lambda file: pytest.fail("one by one"))
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *flags: opened.append(path) or real(path, *flags))
    durable.flush_folder(folder)
    assert opened == [folder]


def test_what_cannot_be_flushed_is_an_error(tmp_path, monkeypatch):
    class Failing:
        def syncfs(self, descriptor):
            durable.ctypes.set_errno(5)
            return -1

    monkeypatch.setattr(durable.ctypes, "CDLL", lambda *_, **__: Failing())
    with pytest.raises(OSError, match="Input/output error"):
        durable._flush_filesystem(tmp_path)
