"""Looking at a dataset, and at one program of it."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from forging import forge, rows_changed
from helpers import config
from warm_scripts import run_warm

from mlir_datagen.command_line import page as page_module
from mlir_datagen.command_line.page import Page
from mlir_datagen.command_line.shown import _operands, dataset_facts, program_facts, show_dataset, show_program
from mlir_datagen.dataset.lookup import find_program
from mlir_datagen.dataset.measurements import record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate
from mlir_datagen.programs.proof import Measurement


def run_show(*arguments, cwd):
    """Run `mlir-datagen show` in a fresh process: of many forked ones, Arrow's threads abort one at its end."""
    command = [sys.executable, "-m", "mlir_datagen.command_line.main", "show", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """What is printed to, as if it were a terminal."""

    def isatty(self):
        return True


def printed(monkeypatch, dataset, name=None, columns=80, stream=None, **environment):
    """Return what is shown of a dataset, or of a program, on a terminal of so many columns or in a pipe."""
    stream = stream or io.StringIO()
    for key, value in {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "", **environment}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(page_module.sys, "stdout", stream)
    found = Dataset(dataset)
    if name is None:
        show_dataset(Page(), found, dataset_facts(found))
    else:
        show_program(Page(), found, program_facts(found, find_program(found, name)))
    return stream.getvalue()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A dataset of graphs of several operations, in Parquet alone, with indexes in several files."""
    folder = tmp_path_factory.mktemp("drawn")
    return generate(
        config(["matmul", "conv2d"], output_dir=str(folder), storage="parquet", programs_per_file=7, num_samples=24)
    ).path


def test_a_dataset(tiny, tmp_path):
    done = run_show(str(tiny), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny: 24 programs in")
    facts = dict(line.split("  ", 1) for line in lines if re.match(r"[a-z ]+  +\S", line) and line[0] != " ")
    assert facts["splits"].strip() == "train 20, test 4"
    assert facts["element types"].strip() == "f32 24"
    assert facts["proven"].strip() == "parsed 24"
    assert facts["times"].strip() == "not measured"
    assert ["matmul", "5", "1"] in [line.split() for line in lines]
    assert "train/matmul_0000" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_dataset_for_other_programs(tiny, tmp_path):
    facts = json.loads(run_show(str(tiny), "--json", cwd=tmp_path).stdout)
    manifest = json.loads((tiny / "manifest.json").read_text())
    assert facts["splits"] == manifest["counts"]
    assert (facts["programs"], facts["fingerprint"]) == (24, manifest["fingerprint"])


def test_a_program_is_its_row(tiny, tmp_path):
    facts = json.loads(run_show(str(tiny), "train/conv2d_0001", "--json", cwd=tmp_path).stdout)
    assert facts["mlir"] == (tiny / "train/conv2d_0001.mlir").read_text()
    (row,) = [
        row for split, rows in Dataset(tiny).rows() for row in rows if (split, row["name"]) == ("train", "conv2d_0001")
    ]
    assert {key: facts[key] for key in row} == row
    assert facts["command"].startswith("mlir-datagen program conv2d '{")
    again = run_warm("program", "conv2d", facts["spec"], cwd=tmp_path)
    assert again.stdout == facts["mlir"]


@pytest.mark.parametrize("stored", ["tiny", "drawn"])
def test_every_program_is_found(stored, request):
    dataset = Dataset(request.getfixturevalue(stored))
    names = [(split, row["name"]) for split, rows in dataset.rows() for row in rows]
    assert len(names) == 24
    for split, name in names:
        facts = program_facts(dataset, find_program(dataset, f"{split}/{name}"))
        assert (facts["split"], facts["name"]) == (split, name)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("test/matmul_0000", "test/matmul_0000"),
        ("matmul_0004", "train/matmul_0004"),
        ("train/matmul_0004.mlir", "train/matmul_0004"),
        ("matmul_0016", "train/matmul_0016"),
        ("test/mat", "test/matmul_0000"),
    ],
)
def test_ways_to_name_a_program(words, place, tiny):
    found = find_program(Dataset(tiny), words)
    assert f"{found.split}/{found.name}" == place


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("matmul_0000", "'matmul_0000' may be train/matmul_0000, test/matmul_0000. Type one of them."),
        ("train/matmul", "'train/matmul' may be train/matmul_0000, train/matmul_0004, "),
        ("train/matmull_0004", "has no program 'matmull_0004' in train. Did you mean \"matmul_0004\""),
        ("trian/matmul_0004", "has no split 'trian'. Did you mean \"train\"? It has train, test."),
        ("nothing", "has no program 'nothing'. The column `name` of the index has all names."),
    ],
)
def test_a_program_that_is_not_there(words, message, tiny):
    with pytest.raises(UserError) as error:
        find_program(Dataset(tiny), words)
    assert message in str(error.value)


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("name", [None, "train/conv2d_0001"])
def test_no_line_is_wider_than_the_terminal(name, columns, drawn, tiny, monkeypatch):
    # Of a short path, since paths stay whole in a pipe.
    monkeypatch.chdir(tiny.parent)
    shown = printed(monkeypatch, tiny.relative_to(tiny.parent), name, columns, Terminal())
    assert "\x1b[" in shown
    plain = ESCAPE.sub("", shown)
    assert max(map(len, plain.splitlines())) <= columns
    piped = printed(monkeypatch, tiny.relative_to(tiny.parent), name, columns)
    assert "\x1b" not in piped
    mlir = [] if name is None else (tiny / "train/conv2d_0001.mlir").read_text().splitlines()
    assert set(mlir) <= set(piped.splitlines())
    assert all(len(line) <= columns for line in piped.splitlines() if line not in mlir)
    assert printed(monkeypatch, tiny, name, columns, Terminal(), NO_COLOR="1").count("\x1b") == 0


def test_a_command_that_is_wrapped_can_be_copied(tiny, monkeypatch, tmp_path):
    shown = printed(monkeypatch, tiny, "train/conv2d_0001", 40, Terminal(), NO_COLOR="1")
    command = shown.split("To make it again:\n")[1]
    assert command.count("\n") > 3
    python, script, family, spec = [word for word in shlex.split(command) if word.strip()]
    assert (python, script, family) == ("python", "scripts/program.py", "conv2d")
    assert run_warm("program", family, spec, cwd=tmp_path).stdout == (tiny / "train/conv2d_0001.mlir").read_text()


@pytest.mark.parametrize("columns", [30, 100])
def test_a_command_with_a_quoted_path_can_be_copied(columns, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(page_module.sys, "stdout", stream)
    path = 'outputs/of "it\'s" [1]/made here, 2'
    Page().command(f"mlir-datagen show {shlex.quote(path)} --json", "To show it")
    command = stream.getvalue().split("To show it:\n")[1]
    words = [word for word in shlex.split(command) if word.strip()]
    assert words == ["mlir-datagen", "show", path, "--json"]


def test_the_text_of_a_stranger_moves_no_cursor(tiny, tmp_path, monkeypatch):
    evil = tmp_path / tiny.name
    shutil.copytree(tiny, evil)
    forge(evil, "train.parquet", rows_changed(lambda rows: [row.update(source="\x1b[2Jrandom\x07") for row in rows]))
    shown = printed(monkeypatch, evil, "train/matmul_0004", 80, Terminal(), NO_COLOR="1")
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[2Jrandom" in shown


def test_a_text_that_was_changed_is_refused(tiny, tmp_path):
    damaged = tmp_path / tiny.name
    shutil.copytree(tiny, damaged)
    forge(damaged, "train.parquet", rows_changed(lambda rows: [row.update(mlir=row["mlir"] + " ") for row in rows]))
    done = run_show(str(damaged), "train/matmul_0004", cwd=tmp_path)
    assert done.returncode == 2
    assert "the text of matmul_0004 is not the one of its sha256" in " ".join(done.stderr.split())
    (damaged / "train.parquet").write_bytes(b"PAR1")
    for arguments in ([], ["train/matmul_0004"]):
        done = run_show(str(damaged), *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "train.parquet cannot be read" in " ".join(done.stderr.split())


def test_times_are_shown(tiny, tmp_path):
    measured = tmp_path / tiny.name
    shutil.copytree(tiny, measured)
    times = {"matmul_0000": 1.5e3, "matmul_0004": 2.25e6, "conv2d_0001": 7.0}
    record_measurements(
        measured,
        Dataset(measured).manifest,
        [
            ("train", name, Measurement(time, 1.0, 0.5, 5, 2, 10, 1.6, False, 1000, "0a"))
            for name, time in times.items()
        ],
        {"machines": [{"id": "0a", "cpu": "a processor"}]},
        21,
    )
    shown = " ".join(run_show(str(measured), cwd=tmp_path).stdout.split())
    assert "times 7 ns to 2.25 ms, median 1.5 µs, of 3 programs on one core of a processor; disturbed: 0" in shown
    shown = " ".join(run_show(str(measured), "matmul_0004", cwd=tmp_path).stdout.split())
    assert "one call 2.25 ms, the median of 5 runs (interquartile range 0.5 ns)" in shown
    facts = run_show(str(measured), "train/conv2d_0001", "--json", cwd=tmp_path).stdout
    assert json.loads(facts)["measurement"]["median_ns"] == 7.0


def test_a_table_that_is_too_wide_becomes_lines(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(page_module.sys, "stdout", stream)
    for key, value in {"COLUMNS": "40", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(key, value)
    Page().table(["family", "train", "suites.mlir_rl_eval_of_networks"], [["matmul", "5", "16"], ["conv2d", "4", ""]])
    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["matmul"],
        ["train", "5"],
        ["suites.mlir_rl_eval_of_networks"],
        ["16"],
        ["conv2d"],
        ["train", "4"],
    ]


def test_the_parameters_of_a_network_are_counted():
    operands = [
        {"role": "input", "name": "x", "dtype": "f32", "shape": [1, 3]},
        {"role": "parameter", "name": "w", "dtype": "f32", "shape": [3, 500]},
        {"role": "buffer", "name": "b", "dtype": "i64", "shape": []},
    ]
    assert _operands(operands) == "x 1x3xf32; 2 parameters and buffers of 1.5 k elements"
    assert _operands([{**operands[0], "name": f"x{number}"} for number in range(15)]).endswith("; x11 1x3xf32; 3 more")
