"""The commands and examples of README.md, CONTRIBUTING.md and docs/, and how a test runs them.

Each page is run in a folder of its own, its commands in order and then its Python blocks as one program, so that what
one makes the next ones have. A block that a test cannot run says why in the line before it:
`<!-- not run: reason -->`, which no reader sees. A block of Python with a title is the file of that name. What would
take long is made smaller, and by nothing else than this:

- a run of `generate` makes `PROGRAMS` programs, unless it names the size of each split, in its own process, and
  without pictures (`report=false`);
- so does a call in Python, and a network is given images of 64 x 64 for 224 x 224;
- one that converts networks of conf/models/, makes suites or a part of a dataset, or is a named dataset of minutes, is
  planned only: `dry_run=true`;
- an export is without PyTorch's times (`--no-torch`);
- `outputs/<dataset>` is a small measured dataset that is there, `outputs/<another>` the default one;
- where the files that a command takes are those of a run that was only planned, its options are read (`--help`);
- `make` says what it would do, of `pip install` it is looked up whether there are such extras, and benchmarks say how
  they are used.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from helpers import REPOSITORY

DEFAULT = "random-8e104e91c2a5"
"""The default dataset, by the name that the pages give it."""
PROGRAMS = 6
PLANNED_ONLY = re.compile(r"(models|suites)=\[|experiment=(?!tiny)|shard=|--config-dir")
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?"
    r"^(?P<fence>`{3,})(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block: its language, the title if it is a file, why it is not run, and what follows it."""

    language: str
    text: str
    title: str | None
    reason: str | None
    shown: str | None
    """The MLIR that stands right after it, which is what it prints."""


def pages() -> list[Path]:
    """Return the pages whose commands are run."""
    own = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")]
    return [*own, *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text()
    found = list(_FENCE.finditer(text))
    made = []
    for place, match in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else None
        between = text[match.end() : after.start()] if after else ""
        prints = after is not None and after["language"] == "mlir" and between.strip() in ("", "prints")
        shown = after["text"] if after is not None and prints else None
        made.append(Block(match["language"], match["text"], match["title"], match["reason"], shown))
    return made


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of a block of shell."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def small(arguments: list[str]) -> list[str]:
    """Return the arguments of a run of `generate` that is quick, as this file's first lines say."""
    if any(PLANNED_ONLY.match(word) for word in arguments):
        # To spread thousands of programs over their times takes a while.
        fewer = [f"num_samples={PROGRAMS}"] if any("experiment=mlir_rl" in word for word in arguments) else []
        return [*arguments, *fewer, "dry_run=true"]
    kept = [word for word in arguments if not word.startswith(("num_samples=", "executor=", "executor."))]
    kept.append("report=false")
    sized = any(word in ("ops=[]", "experiment=tiny") or word.startswith("splits=") for word in arguments)
    return kept if sized else [*kept, f"num_samples={PROGRAMS}"]


def small_example(text: str) -> str:
    """Return a program in Python that is quick, as this file's first lines say."""
    text = re.sub(r"(?<![\"\w])num_samples=\d+", f"num_samples={PROGRAMS}", text)
    return text.replace("(1, 3, 224, 224)", "(1, 3, 64, 64)")


def with_files(arguments: list[str], folder: Path, dataset: str) -> list[str] | None:
    """Return arguments with the names of files in the place of patterns; None where a pattern has no file."""
    words = []
    for word in arguments:
        named = word.replace("outputs/<dataset>", f"outputs/{dataset}").replace("<another>", DEFAULT)
        if not word.startswith("outputs/") or not glob.has_magic(named):
            words.append(named)
            continue
        found = sorted(glob.glob(named, root_dir=folder))
        if not found:
            return None
        words += found
    return words


def inline_commands(page: Path) -> list[list[str]]:
    """Return the commands that stand within sentences: `python benchmarks/labels.py --usual 24`."""
    prose = _FENCE.sub("", page.read_text())
    found = re.findall(r"`((?:python )?(?:scripts|benchmarks)/\w+\.py[^`\n]*)`", prose)
    return [[*shlex.split(text.removeprefix("python ").partition(" > ")[0])] for text in found]


def named_paths(page: Path) -> set[str]:
    """Return the files and folders of the repository that a page names in code, and tests as pytest names them."""
    prose = _FENCE.sub("", page.read_text())
    names = re.findall(r"`((?:tests|scripts|benchmarks|conf|mlir_datagen|docs)/[\w./]*(?:::\w+)?)`", prose)
    return {name.rstrip("/") for name in names}
