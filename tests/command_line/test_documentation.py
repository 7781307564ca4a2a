"""What the README and the pages of docs/ say is so: every command and example runs as it stands there."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout

import pytest
from documentation import (
    DEFAULT,
    blocks,
    commands,
    inline_commands,
    named_paths,
    pages,
    small,
    small_example,
    with_files,
)
from helpers import REPOSITORY, SCRIPTS, made_dataset, run_script
from warm_scripts import run_warm

from mlir_datagen.command_line.program import command

PAGES = pages()
NAMES = [page.relative_to(REPOSITORY).as_posix() for page in PAGES]
WITH_COMMANDS = [page for page in PAGES if any(one.language in ("bash", "python") for one in blocks(page))]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A small dataset with times, which stands for any (`outputs/<dataset>`), and the default one."""
    folder = tmp_path_factory.mktemp("measured")
    settings = ("name=any", "ops=[matmul]", "dims=small", "num_samples=6", "measure=baseline", "report=false")
    measured = made_dataset(run_script("generate", *settings, cwd=folder), folder)
    default = made_dataset(run_warm("generate", "report=false", cwd=folder), folder)
    assert default.name == DEFAULT
    return measured, default


def run_command(words, folder, dataset, keeps):
    """Run a command of a page in a folder; return what it prints, or None where nothing is run.

    Args:
        words: of the command.
        folder: where it is run.
        dataset: the name of the dataset that is there.
        keeps: whether the page uses what its runs make.
    """
    variables = {}
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    program, *arguments = words
    if program == ".":
        return None
    if program == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    elif program == "pip":
        extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        (asked,) = re.findall(r"\[(.*)\]", arguments[-1])
        assert set(asked.split(",")) <= set(extras)
        return None
    elif program == "mlir-datagen":
        done = run_of("mlir-datagen", arguments, folder, dataset, variables, keeps)
    else:
        assert program == "python", f"a test has to know what {program} is"
        place, name = arguments[0].removesuffix(".py").split("/")
        if place == "benchmarks":
            check_options(arguments)
            return None
        assert place == "scripts"
        done = run_of(name, arguments[1:], folder, dataset, variables, keeps)
    assert done is None or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done and done.stdout


_RUN = set()
"""The commands that earlier pages have run, with whatever of their arguments does not depend on the page."""


def was_run(name, arguments, keeps):
    """Tell whether another page has run a command that leaves nothing for later ones of this page, and note it.

    Args:
        name: of a script, or `mlir-datagen`.
        arguments: as the page has them.
        keeps: whether the page uses what its runs make.
    """
    name, *words = arguments if name == "mlir-datagen" else [name, *arguments]
    alone = name in ("verify", "reproduce", "measure", "program") or "dry_run=true" in words
    if not alone and (keeps or name != "generate"):
        return False
    key = (name, *words)
    seen = key in _RUN
    _RUN.add(key)
    return seen


def run_of(name, arguments, folder, dataset, variables, keeps):
    arguments, redirected = partition(arguments, ">")
    assert not redirected or redirected[0].startswith("docs/"), "a page that is written is held by a test of its own"
    found = with_files(arguments, folder, dataset)
    if found is None:
        found = [*arguments[:1], "--help"] if name == "mlir-datagen" else ["--help"]
    elif "generate" in (name, found[0] if name == "mlir-datagen" else ""):
        found = small(found)
    if "merge" in (name, *found[:1]):
        found = [*found, "--no-report"]
    if "export" in (name, *found[:1]) and "--help" not in found:
        found = [*found, "--no-torch"]
    if was_run(name, found, keeps):
        return None
    if "program" in (name, *found[:1]) and "--check" not in found:
        return printed_by([word for word in found if word != "program"])
    if name == "mlir-datagen" and found[:1] == ["show"]:
        # Of ten forked processes that leave a file of Parquet half read, Arrow's threads abort one at its end.
        name, *found = found
        return run_script(name, *found, cwd=folder)
    if variables:
        return run_script(name, *found, cwd=folder, environment=variables)
    return run_warm(name, *found, cwd=folder)


def printed_by(arguments):
    """Print a program in this process: the gallery has one of every op."""
    output = io.StringIO()
    with redirect_stdout(output):
        command.main(arguments, standalone_mode=False)
    return subprocess.CompletedProcess(arguments, 0, output.getvalue(), "")


def partition(words, sign):
    place = words.index(sign) if sign in words else len(words)
    return words[:place], words[place + 1 :]


def check_options(words):
    """Hold the options of a benchmark, or of a script, against its own text."""
    path = REPOSITORY / words[0]
    assert path.is_file()
    text = path.read_text()
    for option in re.findall(r"^--[\w-]+", "\n".join(words[1:]), re.MULTILINE):
        assert f'"{option}"' in text, f"{words[0]} has no {option}"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=[page.stem for page in WITH_COMMANDS])
def test_the_commands_and_examples_of_a_page_run(page, datasets, tmp_path):
    measured, default = datasets
    shutil.copytree(measured, tmp_path / "outputs" / measured.name)
    program = []
    code = "".join(one.text for one in blocks(page) if one.language in ("bash", "python") and one.reason is None)
    if DEFAULT in code or "<another>" in code:
        shutil.copytree(default, tmp_path / "outputs" / DEFAULT)
    keeps = "outputs/random-*" in code or any(block.language == "python" for block in blocks(page))
    for block in blocks(page):
        if block.reason is not None:
            assert block.reason
        elif block.title is not None:
            (tmp_path / block.title).write_text(block.text)
        elif block.language == "python":
            program.append(block.text)
        elif block.language == "bash":
            printed = [run_command(words, tmp_path, measured.name, keeps) for words in commands(block)]
            if block.shown is not None and printed[-1] is not None:
                assert printed[-1] == block.shown
    if program:
        # As a user runs it, who writes no main guard.
        (tmp_path / "example.py").write_text(small_example("\n".join(program)))
        done = subprocess.run(
            [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=900, env=os.environ
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_names_is_there(page):
    for name in named_paths(page):
        path, _, test = name.partition("::")
        assert (REPOSITORY / path).exists(), f"{page.name} names {path}"
        assert not test or f"def {test}(" in (REPOSITORY / path).read_text(), f"{path} has no {test}"
    for words in inline_commands(page):
        if words[0].startswith("benchmarks/"):
            check_options(words)
        else:
            assert (SCRIPTS.parent / words[0]).is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```bash\npython scripts/generate.py dims=smal\n```\n", "smal"),
        ("```bash\npython scripts/verify.py outputs/nothing\n```\n", "nothing"),
        ("```bash\npython benchmarks/labels.py --usuall 24\n```\n", "--usuall"),
        ("```bash\npython scripts/program.py relu '{\"shape\": [3]}'\n```\n\n```mlir\nmodule {}\n```\n", "module"),
        ("```python\nfrom mlir_datagen import nothing\n```\n", "nothing"),
    ],
)
def test_a_page_that_is_wrong_is_found(text, said, datasets, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=said):
        test_the_commands_and_examples_of_a_page_run(page, datasets, tmp_path / "work")


def test_a_file_and_a_test_that_are_not_there_are_found(tmp_path):
    page = tmp_path / "page.md"
    for name in ("conf/ops/nothing.yaml", "tests/test_laws.py::test_nothing"):
        page.write_text(f"See `{name}`.\n")
        with pytest.raises(AssertionError, match="nothing"):
            test_what_a_page_names_is_there(page)
