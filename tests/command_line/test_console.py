"""The console command: its help, its errors, what it names, completing words, and the wheel that installs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest
from helpers import REPOSITORY, SCRIPTS, run_script
from warm_scripts import run_warm

from mlir_datagen.command_line.subcommands import SUBCOMMANDS
from mlir_datagen.version import PACKAGE_VERSION

CONSOLE = "mlir-datagen"
HEAVY = ("torch", "torch_mlir", "hydra", "transformers", "pandas")


def said(done):
    return " ".join(done.stderr.split())


def test_help_lists_the_subcommands(tmp_path):
    done = run_warm(CONSOLE, "--help", cwd=tmp_path)
    assert done.returncode == 0
    listed = done.stdout.split("Subcommands:")[1].split("Exit codes:")[0]
    assert [line.split()[0] for line in listed.splitlines() if line.strip()] == list(SUBCOMMANDS)
    assert "130  stopped by Ctrl-C" in done.stdout


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_has_examples_and_exit_codes(subcommand, tmp_path):
    done = run_warm(CONSOLE, subcommand, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {CONSOLE} {subcommand}")
    assert f"\n  {CONSOLE} {subcommand} " in done.stdout.split("Examples:")[1]
    codes = [line.split()[0] for line in done.stdout.split("Exit codes:\n")[1].splitlines() if line[2] != " "]
    assert codes == ["0", "1", "2", "130"]


def test_every_subcommand_has_a_script():
    scripts = {"check": "check_mlir_rl"}
    names = {scripts.get(each, each.replace("-", "_")) for each in SUBCOMMANDS}
    assert names == {path.stem for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("generate", "--help"), ("show",), ("show", "train/conv2d_0001")], ids=" ".join
)
def test_help_and_show_import_nothing_heavy(arguments, tiny, tmp_path):
    if arguments[0] == "show":
        arguments = ("show", str(tiny), *arguments[1:])
    code = (
        f"import atexit, sys; sys.argv = ['mlir-datagen', *{list(arguments)!r}]\n"
        f"atexit.register(lambda: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr))\n"
        "from mlir_datagen.command_line.main import console\n"
        "console()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]")


def test_the_version(tmp_path):
    assert run_warm(CONSOLE, "--version", cwd=tmp_path).stdout.startswith(f"{CONSOLE} {PACKAGE_VERSION} ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["verfy"],
            "There is no subcommand 'verfy'. Did you mean \"verify\"? There are generate, show, report, verify,",
        ),
        (["--vresion"], 'mlir-datagen has no option --vresion. Did you mean "--version"? It has --help, --version;'),
        (["measure", "x", "--repaet"], 'mlir-datagen measure has no option --repaet. Did you mean "--repeat"?'),
        (["verify"], "Missing argument 'DATASET'. Type for instance mlir-datagen verify outputs/<dataset>;"),
        (["verify", "x", "y"], "mlir-datagen verify --help says more."),
        (["verify", "x", "--workers", "all"], "it is 'all', and must be from 0, for none, to 1024"),
        (["export", "mlir_lr", "x"], "'mlir_lr' is not"),
        (["export", "mlir_rl", "x", "--train"], "Option '--train' requires an argument"),
        (
            ["verify", "none"],
            "none is not a dataset: it has no manifest.json. Name a folder that mlir-datagen generate",
        ),
        (["generate", "sed=3"], 'There is no key "sed" in the config. Did you mean "seed"?'),
        (["program", "matmull", "{}"], "mlir-datagen list-ops lists the "),
    ],
)
def test_a_typo_is_an_error_for_people(arguments, message, tmp_path):
    done = run_warm(CONSOLE, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said(done).startswith("Error: ")
    assert message in said(done)
    assert "Traceback" not in done.stderr
    assert "scripts/" not in done.stderr


def test_no_subcommand_shows_the_help(tmp_path):
    done = run_warm(CONSOLE, cwd=tmp_path)
    assert done.returncode == 2
    assert "Subcommands:" in done.stdout + done.stderr


def test_options_that_take_several_words(tmp_path):
    done = run_warm(CONSOLE, "export", "mlir_rl", "--train", "train", "extracted", "--no-torch", "none", cwd=tmp_path)
    assert "none is not a dataset" in said(done)
    done = run_warm(CONSOLE, "export", "mlir_rl", "none", "--train", "train", "extracted", cwd=tmp_path)
    assert "none is not a dataset" in said(done)


def test_settings_go_to_hydra_as_they_are(tiny, tmp_path):
    sweep = run_warm(CONSOLE, "generate", "-m", "experiment=tiny", "seed=42,7", "storage=parquet", cwd=tmp_path)
    assert sweep.returncode == 0, sweep.stderr
    assert sweep.stdout.count("\ndataset: outputs/tiny-") == 2
    again = run_warm(CONSOLE, "generate", "--config-dir", str(tiny), "--config-name", "config", cwd=tmp_path)
    assert again.stdout.splitlines()[-1] == f"dataset: outputs/{tiny.name}"
    # What is typed is no part of a dataset.
    for path in tiny.rglob("*"):
        assert (
            not path.is_file()
            or path.read_bytes() == (tmp_path / "outputs" / tiny.name / path.relative_to(tiny)).read_bytes()
        )
    config = run_warm(CONSOLE, "generate", "--cfg", "job", "num_samples=7", cwd=tmp_path)
    assert "num_samples: 7" in config.stdout


def test_what_may_come_next_is_named_as_it_is_typed(tiny, tmp_path):
    for name, named in ((CONSOLE, "mlir-datagen"), (None, "python scripts/")):
        arguments = ["generate", f"output_dir={tiny.parent}", "experiment=tiny"]
        verify = ["verify", str(tiny), "--workers", "0"]
        made, verified = (
            run_warm(name, *words, cwd=tmp_path) if name else run_warm(words[0], *words[1:], cwd=tmp_path)
            for words in (arguments, verify)
        )
        assert verified.returncode == 0, verified.stderr
        next_ones = [line for done in (made, verified) for line in done.stdout.splitlines() if line.startswith("to ")]
        assert len(next_ones) == 2
        assert all(f": {named}" in line for line in next_ones)
        assert ("scripts/" in made.stdout + verified.stdout) == (name is None)


def completed(words, shell="bash", cwd=REPOSITORY):
    """Return what a shell is told that the last of some words may become."""
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        asked["COMP_CWORD"] = words[-1]
    asked["_MLIR_DATAGEN_COMPLETE"] = f"{shell}_complete"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in asked.items():
            patch.setenv(name, value)
        done = run_warm(CONSOLE, cwd=cwd)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ver"], ["plain,verify"]),
        (["list"], ["plain,list-ops", "plain,list-operators", "plain,list-programs", "plain,list-settings"]),
        (["--ver"], ["plain,--version"]),
        (["measure", "--rep"], ["plain,--repeat"]),
        (["measure", "outp"], ["file,outp"]),
        (["export", "mlir"], ["plain,mlir_rl"]),
        (["program", "matmul", "{}", "--form", "gen"], ["plain,generic"]),
        (["generate", "num"], ["plain,num_samples="]),
        (["generate", "dims=sm"], ["plain,dims=small"]),
        # As bash has it, where = ends a word.
        (["generate", "dims", "=", "sm"], ["plain,small"]),
        (["generate", "dims", "="], ["plain,default", "plain,large", "plain,small", "plain,wide"]),
        (
            ["generate", "seed=3", "ops=[matmul,relu,batch_mat"],
            ["plain,ops=[matmul,relu,batch_matmul", "plain,ops=[matmul,relu,batch_matvec"],
        ),
        (["generate", "ops=[conv_2d_nhwc_h"], ["plain,ops=[conv_2d_nhwc_hwcf"]),
        (["generate", "seed=3"], []),
        (["generate", "--config-d"], ["plain,--config-dir"]),
        (["generate", "--config-dir", "out"], ["dir,out"]),
        (["generate", "--cfg", "j"], ["plain,job"]),
    ],
    ids=" ".join,
)
def test_words_are_completed(words, found):
    assert completed([CONSOLE, *words]) == found


def test_words_are_completed_in_other_shells():
    assert completed([CONSOLE, "generate", "storage"], "zsh") == [
        "plain", "storage=", "where the programs' text goes: files (.mlir), parquet, or both",
    ]  # fmt: skip
    assert completed([CONSOLE, "ver"], "fish")[0].startswith("plain")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_ask(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("_MLIR_DATAGEN_COMPLETE", f"{shell}_source")
    done = run_warm(CONSOLE, cwd=tmp_path)
    assert f"_MLIR_DATAGEN_COMPLETE={shell}_complete" in done.stdout
    assert ("nospace" in done.stdout) == (shell == "bash")


def test_the_wheel_works_outside_a_checkout(tmp_path):
    if not os.environ.get("CI"):
        pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (entry_points,) = installed.glob("*/entry_points.txt")
    assert "mlir-datagen = mlir_datagen.command_line.main:console" in entry_points.read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = "from mlir_datagen.command_line.main import console; console()"

    def typed(*arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True, text=True,
        )  # fmt: skip

    made = typed("generate", "experiment=tiny")
    assert made.returncode == 0, made.stderr
    made = made.stdout.splitlines()[-1].removeprefix("dataset: ")
    shown = json.loads(typed("show", made, "--json").stdout)
    assert shown["programs"] == 24
    assert run_script("verify", made, cwd=elsewhere).returncode == 0
