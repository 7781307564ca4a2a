"""The subcommand that makes what shows a dataset, and a page of two."""

from __future__ import annotations

import json
import shutil

import pytest
from presented import composed
from warm_scripts import run_warm


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return [composed(folder, "ops=[matmul]", "num_samples=8", f"seed={seed}") for seed in (1, 2)]


def said(done):
    return " ".join(done.stderr.split())


def test_it_makes_what_shows_a_dataset_and_finds_it_again(datasets, tmp_path):
    copy = shutil.copytree(datasets[0], tmp_path / datasets[0].name)
    done = run_warm("report", str(copy), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {copy}/report.html"
    made = json.loads((copy / "manifest.json").read_text())["presentation"]["files"]
    assert {"croissant.json", "report.html", "pictures/operations.png", "pictures/operations.svg"} <= set(made)
    written = {file: (copy / file).stat().st_mtime_ns for file in made}
    assert run_warm("report", str(copy), cwd=tmp_path).returncode == 0
    assert {file: (copy / file).stat().st_mtime_ns for file in made} == written
    (copy / "pictures/operations.png").write_bytes(b"something else")
    assert run_warm("verify", str(copy), cwd=tmp_path).returncode == 2
    assert run_warm("report", str(copy), cwd=tmp_path).returncode == 0
    assert run_warm("verify", str(copy), cwd=tmp_path).returncode == 0


def test_it_lays_two_side_by_side(datasets, tmp_path):
    before = [{*folder.rglob("*")} for folder in datasets]
    done = run_warm("mlir-datagen", "report", *map(str, datasets), "-o", "pages/both.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "report: pages/both.html"
    page = (tmp_path / "pages/both.html").read_text()
    assert all(folder.name in page for folder in datasets)
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["both.html"]
    assert [{*folder.rglob("*")} for folder in datasets] == before


def test_what_cannot_be_compared_is_answered(datasets, tmp_path):
    one, other = map(str, datasets)
    for arguments, message in (
        ((one, one), "of two different ones side by side"),
        ((one, other, one), "3 are named here"),
        ((one, "-o", "page.html"), "-o is for the page of two datasets"),
        ((str(tmp_path),), "is not a dataset"),
        ((one, other, "-o", "/proc/page.html"), "/proc/page.html cannot be written"),
        ((), "Missing argument"),
    ):
        done = run_warm("report", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert message in said(done)
    assert list(tmp_path.iterdir()) == []
