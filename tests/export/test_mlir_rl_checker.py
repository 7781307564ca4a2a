"""The checker of MLIR-RL's format: a folder that is right, and one that is wrong for each line of the contract."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers import mlir_opt
from mlir_rl_programs import (
    BROKEN_PROGRAMS,
    DYNAMIC,
    INTERFACE,
    MATMUL,
    NAME,
    RESULT,
    SOFTMAX,
    SOFTMAX_FUNCTION,
    TRANSPOSED,
    contraction,
    convolution,
    copy,
    row_sums,
    timed,
    unary,
)
from warm_scripts import run_warm

from mlir_datagen.errors import UserError
from mlir_datagen.export.mlir_rl import checker
from mlir_datagen.export.mlir_rl.program_check import check_program
from mlir_datagen.export.mlir_rl.training import CONFIG, training_config


@pytest.fixture
def folder(tmp_path):
    """A folder that is right in every line, in both layouts."""
    (tmp_path / "code_files").mkdir()
    (tmp_path / "llm_action").mkdir()
    other = MATMUL.replace("8x", "2x")
    baselines = {}
    for split, name, text, time in (("train", NAME, MATMUL, 20_000), ("eval", "matmul_2_4_16", other, 30_000)):
        (tmp_path / "code_files" / f"{name}.mlir").write_text(text)
        (tmp_path / f"execution_times_{split}.json").write_text(json.dumps({name: time}))
        (tmp_path / "llm_action" / split).mkdir()
        (tmp_path / "llm_action" / split / f"{name}.mlir").write_text(text)
        baselines[split] = {name: {"mlir": time / 1e6, "torch": 0.01}}
    (tmp_path / "llm_action" / "baselines.json").write_text(json.dumps(baselines))
    return tmp_path


_REPORTS = {}


def once(path, tool):
    """Check a file, or remember what was found in one of the same bytes."""
    key = path.read_bytes(), tool
    if key not in _REPORTS:
        _REPORTS[key] = check_program(path, tool)
    return _REPORTS[key]


@pytest.fixture
def check(monkeypatch):
    """Check in this process, as starting workers for every case takes long."""
    monkeypatch.setattr(checker, "check_programs", lambda paths, tool: [once(path, tool) for path in paths])

    def run(folder, tool=None):
        report = checker.check_folder(folder, tool)
        return [f"{finding.file}: {finding.text}" for finding in report.problems], report

    return run


def test_a_right_folder_passes(folder, check):
    for tool in (None, mlir_opt(19)):
        problems, report = check(folder, tool)
        assert problems == []
        assert report.advice == []
        assert report.programs == 4


@pytest.mark.parametrize(
    "text",
    [
        unary("tensor<4xf64>"),
        unary("tensor<4xi64>", "copy"),
        unary("tensor<4xi32>", "copy"),
        copy(7),
        contraction(6),
        convolution("conv_2d_nhwc_hwcf", "1x8x8x2", "3x3x2x4", "1x6x6x4"),
        convolution("conv_2d_nhwc_fhwc", "1x8x8x2", "4x3x3x2", "1x6x6x4"),
        convolution("depthwise_conv_2d_nhwc_hwc", "1x8x8x2", "3x3x2", "1x6x6x2"),
        # A constant index, where there is nothing to fuse with.
        row_sums(alone=True),
        # A convolution of one dimension does not reach the im2col step.
        timed(
            "%a: tensor<8xf32>, %b: tensor<3xf32>, %c: tensor<6xf32>",
            '%r = linalg.conv_1d {tag = "operation_0"} ins(%a, %b : tensor<8xf32>, tensor<3xf32>) '
            "outs(%c : tensor<6xf32>) -> tensor<6xf32>",
            [("%r", "tensor<6xf32>")],
        ),
        MATMUL.replace("%arg2 : tensor", "%f : tensor").replace(
            "    %1 = ",
            "    %z = arith.constant 0.0 : f32\n    %e = tensor.empty() : tensor<8x16xf32>\n    %f = linalg.fill "
            "ins(%z : f32) outs(%e : tensor<8x16xf32>) -> tensor<8x16xf32>\n    %1 = ",
        ),
    ],
)
def test_what_the_contract_allows_passes(folder, check, text):
    (folder / "code_files" / f"{NAME}.mlir").write_text(text)
    assert check(folder, mlir_opt(19))[0] == []


@pytest.mark.parametrize(("text", "expected"), BROKEN_PROGRAMS.items(), ids=range(len(BROKEN_PROGRAMS)))
def test_a_broken_program_is_named_with_what_is_wrong(folder, check, text, expected):
    file = f"code_files/{NAME}.mlir"
    (folder / file).write_text(text)
    found = [problem for problem in check(folder)[0] if problem.startswith(f"{file}: ")]
    assert any(expected in problem for problem in found), found
    assert all(problem.isprintable() for problem in found)


def test_what_parses_but_cannot_be_bufferized_or_lowered(folder, check):
    (folder / "code_files" / f"{NAME}.mlir").write_text(SOFTMAX)
    for tool in (None, mlir_opt(19)):
        assert any("it cannot be lowered: linalg.softmax is left over" in problem for problem in check(folder, tool)[0])
    (folder / "code_files" / f"{NAME}.mlir").write_text(SOFTMAX_FUNCTION)
    assert any("cannot bufferize bodiless function" in problem for problem in check(folder, mlir_opt(19))[0])


def test_what_mlir_19_does_not_know_is_found_there(folder, check):
    """The verifier of a newer MLIR takes it."""
    text = MATMUL.replace(
        "linalg.matmul {",
        "linalg.matmul indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, "
        "affine_map<(d0, d1, d2) -> (d0, d1)>] {",
    ).replace("8x4", "4x8")
    (folder / "code_files" / f"{NAME}.mlir").write_text(text)
    ours = check(folder)[0]
    theirs = check(folder, mlir_opt(19))[0]
    assert ours == [f"code_files/{NAME}.mlir: linalg.matmul has indexing maps of its own, which MLIR 19 does not know"]
    assert any("mlir-opt-19 cannot bufferize and lower it: " in problem for problem in theirs)


def test_files_that_are_no_text(folder, check):
    file = folder / "code_files" / f"{NAME}.mlir"
    for content, expected in (
        (b"\x7fELF\xff\xfe\x00", "it is not text in UTF-8"),
        (b"ML\xefR\x00\x01", "it is not text in UTF-8"),
        (MATMUL.encode() + b"\0", "it has a zero byte"),
    ):
        file.write_bytes(content)
        assert any(expected in problem for problem in check(folder)[0])
    file.unlink()
    file.mkdir()
    assert any(f"{NAME} has no file code_files/{NAME}.mlir" in problem for problem in check(folder)[0])


TRAIN, EVAL, BASELINES = "execution_times_train.json", "execution_times_eval.json", "llm_action/baselines.json"
HUGE = "1" * 5000
BROKEN_JSON = [
    (TRAIN, "", f"{TRAIN}: it is not JSON"),
    (TRAIN, '{"a": ', f"{TRAIN}: it is not JSON"),
    (TRAIN, "[" * 100_000, f"{TRAIN}: it is not JSON"),
    (TRAIN, f'{{"{NAME}": {HUGE}}}', f"{TRAIN}: it is not JSON"),
    (TRAIN, b"\xff\xfe", f"{TRAIN}: it is not JSON"),
    (TRAIN, "[1]", f"{TRAIN}: it is not a JSON object"),
    (TRAIN, None, f"{TRAIN}: it cannot be read: No such file or directory"),
    (EVAL, None, f"{EVAL}: it cannot be read: No such file or directory"),
    (TRAIN, f'{{"{NAME}": 20000, "{NAME}": 20001}}', f"{TRAIN}: {NAME} is in it more than once"),
    (TRAIN, '{"matmul-8": 20000}', f'{TRAIN}: the name "matmul-8" is not of letters of ASCII, digits and underscores'),
    (TRAIN, '{"../a": 20000}', f'{TRAIN}: the name "../a" is not of letters'),
    (TRAIN, '{"größe": 20000}', f'{TRAIN}: the name "gr\\u00f6\\u00dfe" is not of letters'),
    (TRAIN, '{"": 20000}', f'{TRAIN}: the name "" is not of letters'),
    (TRAIN, '{"matmul_1_1_1": 20000}', f"{TRAIN}: matmul_1_1_1 has no file code_files/matmul_1_1_1.mlir"),
    (TRAIN, f'{{"{NAME}": 20000.0}}', f"the time of {NAME}, 20000.0, is not a whole number of nanoseconds"),
    (TRAIN, f'{{"{NAME}": "20000"}}', f'the time of {NAME}, "20000", is not a whole number of nanoseconds'),
    (TRAIN, f'{{"{NAME}": true}}', f"the time of {NAME}, true, is not a whole number of nanoseconds"),
    (TRAIN, f'{{"{NAME}": null}}', f"the time of {NAME}, null, is not a whole number of nanoseconds"),
    (TRAIN, f'{{"{NAME}": 0}}', f"{NAME}: its time, 0 ns, is not positive"),
    (TRAIN, f'{{"{NAME}": -1}}', f"{NAME}: its time, -1 ns, is not positive"),
    (TRAIN, f'{{"{NAME}": 61000000000}}', f"{NAME}: its time, 61 s, is over 60 s, so that five runs time out"),
    (EVAL, f'{{"{NAME}": 20000}}', f"{EVAL}: {NAME} is in execution_times_train.json, too"),
    (TRAIN, f'{{"{NAME}": 1{"0" * 400}}}', f"{NAME}: its time, 1{'0' * 391} s, is over 60 s"),
    (TRAIN, r'{"\ud800": 0}', r'the name "\ud800" is not of letters'),
    (TRAIN, r'{"a\nb": 0}', r'the name "a\nb" is not of letters'),
    (TRAIN, r'{"a\nb": 0, "a\nb": 0}', r'"a\nb" is in it more than once'),
    (TRAIN, f'{{"{"a" * 300}": 20000}}', f"{'a' * 300} has no file code_files/{'a' * 300}.mlir"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": 1{"0" * 400}}}}}}}', f"the time of {NAME}, 1{'0' * 400} ms, is not"),
    (BASELINES, "{", f"{BASELINES}: it is not JSON"),
    (BASELINES, None, f"{BASELINES}: it cannot be read"),
    (BASELINES, "[]", f"{BASELINES}: it is not a JSON object"),
    (BASELINES, '{"train": {}, "eval": {}, "test": {}}', f'{BASELINES}: it has the key "test"'),
    (BASELINES, '{"train": 1, "eval": {}}', f"{BASELINES}: train is not an object"),
    (BASELINES, f'{{"train": {{"{NAME}": 0.02}}}}', f"{BASELINES}: the entry of {NAME} is not of the form"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"torch": 0.02}}}}}}', f"{BASELINES}: the entry of {NAME} is not of"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": 0}}}}}}', f"the time mlir of {NAME}, 0, is not a positive number"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": NaN}}}}}}', f"the time mlir of {NAME}, NaN, is not a positive"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": 0.02, "torch": -1}}}}}}', f"the time torch of {NAME}, -1, is not a"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": 0.02, "torch": null}}}}}}', f"the time torch of {NAME}, null, is"),
    (BASELINES, f'{{"train": {{"{NAME}": {{"mlir": 20000}}}}}}', f"the time of {NAME}, 20000 ms, is not that of the"),
    (BASELINES, '{"eval": {"a": {"mlir": 1}}}', f"{BASELINES}: a has no file llm_action/eval/a.mlir"),
    (BASELINES, '{"train": {"a": {"mlir": 1}}, "eval": {"a": {"mlir": 1}}}', f"{BASELINES}: a is in train and in eval"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "content", "expected"), BROKEN_JSON, ids=range(len(BROKEN_JSON)))
def test_a_broken_json_is_named_with_what_is_wrong(folder, check, file, content, expected):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = check(folder)[0]
    assert any(expected in problem for problem in problems), problems
    # As they are printed, each on one line.
    assert all(problem.isprintable() for problem in problems)


def test_a_name_on_the_disk_that_cannot_be_printed(folder, check):
    (folder / "code_files" / "a\nb\udcff.mlir").write_text("")
    (advice,) = check(folder)[1].advice
    assert advice.file == r'"code_files/a\nb\udcff.mlir"'


def test_whole_numbers_are_compared_as_such(folder, check):
    """No float holds them; a thousandth off is the same."""
    (folder / "llm_action" / "train").rename(folder / "train")
    shutil.rmtree(folder / "llm_action")
    for milliseconds, count in ((10**400, 1), (10**400 + 10**396, 1), (10**400 + 10**398, 2)):
        (folder / TRAIN).write_text(json.dumps({NAME: 10**406}))
        (folder / "baselines.json").write_text(json.dumps({"train": {NAME: {"mlir": milliseconds}}, "eval": {}}))
        assert len([problem for problem in check(folder)[0] if NAME in problem]) == count


def test_a_config_that_names_another_folder(folder, check):
    (folder / CONFIG).write_text(json.dumps(training_config(folder)))
    assert check(folder)[0] == []
    (folder / CONFIG).write_text(json.dumps(training_config(folder.parent / "before")))
    problems = check(folder)[0]
    assert [problem.split(" is ")[0] for problem in problems] == [
        "config.json: its benchmarks_folder_path", "config.json: its json_file", "config.json: its eval_json_file",
    ]  # fmt: skip
    assert all(f"(python scripts/export.py mlir_rl {folder.parent})" in problem for problem in problems)
    # One of theirs, whose paths are in their repository.
    (folder / CONFIG).write_text('{"json_file": "config/times.json", "eval_json_file": 1}')
    assert check(folder)[0] == []


def test_what_cannot_be_tiled_is_said_once(folder, check):
    shutil.rmtree(folder / "llm_action")
    odd = MATMUL.replace("8x", "7x").replace("x4x", "x5x").replace("<4x", "<5x").replace("x16x", "x3x")
    files = [folder / "code_files" / f"{name}.mlir" for name in (NAME, "matmul_2_4_16")]
    files[0].write_text(odd)
    tiles = "none of its loops can be tiled: a tile is 2, 4, 8, 16, 32 or 64 and divides the bound."
    assert [(advice.file, advice.text) for advice in check(folder)[1].advice] == [(f"code_files/{NAME}.mlir", tiles)]
    files[1].write_text(odd.replace("%0", "%begin"))
    (advice,) = check(folder)[1].advice
    assert advice.text == f"{tiles} So it is with 2 of the 2 programs."
    assert check(folder)[0] == []
    # Where the loops are not known there is nothing to say of them.
    for text in (SOFTMAX, DYNAMIC):
        for file in files:
            file.write_text(text)
        assert check(folder)[1].advice == []


def test_an_operation_that_only_mlir_19_knows(folder, check):
    file = f"code_files/{NAME}.mlir"
    (folder / file).write_text(TRANSPOSED)
    (problem,) = check(folder)[0]
    assert problem.startswith(f"{file}: MLIR cannot parse it: ")
    problems, report = check(folder, mlir_opt(19))
    assert problems == []
    (advice,) = report.advice
    assert advice.file == file
    assert advice.text.startswith("it is checked with linalg.generic in the place of its named operations")
    assert "mlir-opt-19 parses it, and the newer MLIR of this package does not" in advice.text
    # Everything else is checked as ever.
    (folder / file).write_text(TRANSPOSED.replace(RESULT + INTERFACE, RESULT))
    assert check(folder, mlir_opt(19))[0] == [f"{file}: @main has not the attribute llvm.emit_c_interface"]


def test_llm_action_wants_the_tag_and_the_others_do_not(folder, check):
    untagged = MATMUL.replace('{tag = "operation_0"} ', "")
    for place in ("code_files", "llm_action/train"):
        (folder / place / f"{NAME}.mlir").write_text(untagged)
    assert check(folder)[0] == [
        f"llm_action/train/{NAME}.mlir: its only linalg operation, linalg.matmul, has not the attribute tag = "
        '"operation_0"'
    ]


def test_llm_action_takes_every_file_of_its_folders(folder, check):
    (folder / "llm_action" / "eval" / "stray.mlir").write_text("stray")
    assert any("llm_action/eval/stray.mlir: MLIR cannot parse it" in problem for problem in check(folder)[0])


def test_each_layout_is_one_without_the_other(folder, check):
    problems, report = check(folder / "llm_action")
    assert (problems, report.programs) == ([], 2)
    shutil.rmtree(folder / "llm_action")
    problems, report = check(folder)
    assert (problems, report.programs) == ([], 2)


def test_advice_is_no_problem(folder, check):
    (folder / TRAIN).write_text(json.dumps({NAME: 9_999}))
    (folder / BASELINES).unlink()
    shutil.rmtree(folder / "llm_action")
    (folder / EVAL).write_text("{}")
    problems, report = check(folder)
    assert problems == []
    assert [f"{finding.file}: {finding.text}" for finding in report.advice] == [
        f"{TRAIN}: the time of {NAME}, 9999 ns, is outside the usual 10 µs to 1 s",
        f"{EVAL}: it names no program",
        "code_files/matmul_2_4_16.mlir: neither file of times names it, so nothing reads it",
    ]


def test_no_program_at_all_is_a_problem(folder, check):
    for file in (TRAIN, EVAL):
        (folder / file).write_text("{}")
    assert any("there is no program in it, nor in the other" in problem for problem in check(folder)[0])


def test_a_folder_that_is_not_one_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        if path.name == "file":
            path.write_text("")
        with pytest.raises(UserError, match="not a folder"):
            checker.check_folder(path, None)


def test_the_script_says_what_is_wrong_per_file_also_of_a_file_that_crashes_mlir(folder, tmp_path):
    done = run_warm("check_mlir_rl", str(folder), "--mlir-opt", mlir_opt(19), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"MLIR-RL can load it: {folder}" in done.stdout
    (folder / "code_files" / f"{NAME}.mlir").write_text("module attributes {a = " + "[" * 1_000_000 + "} {}")
    (folder / "llm_action" / "train" / f"{NAME}.mlir").write_text("{")
    done = run_warm("check_mlir_rl", str(folder), cwd=tmp_path, environment={"PATH": ""})
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"code_files/{NAME}.mlir: it crashes MLIR") for line in lines), lines
    assert any(line.startswith(f"llm_action/train/{NAME}.mlir: MLIR cannot parse it") for line in lines), lines
    assert "programs checked: 4; problems: 2; advice: 0" in lines
    assert "Traceback" not in done.stderr


def test_the_script_takes_advice_for_problems_if_asked_to(folder, tmp_path):
    (folder / TRAIN).write_text(json.dumps({NAME: 9_999}))
    shutil.rmtree(folder / "llm_action")
    for options, code in (((), 0), (("--strict",), 1)):
        done = run_warm("check_mlir_rl", str(folder), *options, cwd=tmp_path)
        assert done.returncode == code
        assert f"advice: {TRAIN}: the time of {NAME}, 9999 ns, is outside the usual" in done.stdout


def test_the_script_says_that_an_mlir_opt_is_of_another_version(folder, tmp_path):
    done = run_warm("check_mlir_rl", str(folder), "--mlir-opt", mlir_opt(22), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "advice: mlir-opt-22: it is of LLVM 22, and MLIR-RL runs programs on 19" in done.stdout


def test_the_script_says_that_nothing_is_run(tmp_path):
    done = run_warm("check_mlir_rl", "--help", cwd=tmp_path)
    assert "The programs are not run." in " ".join(done.stdout.split())


@pytest.mark.parametrize("tool", ["no-such-program", "ls", "/", "mlir-translate-19"])
def test_the_script_refuses_what_is_no_mlir_opt(folder, tmp_path, tool):
    done = run_warm("check_mlir_rl", str(folder), "--mlir-opt", tool, cwd=tmp_path)
    assert done.returncode == 2
    assert "--mlir-opt mlir-opt-19" in done.stderr
    assert "Traceback" not in done.stderr
