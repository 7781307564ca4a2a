"""What is checked of one row of an index, and what only all of a dataset tells."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.paths import program_file
from mlir_datagen.errors import shown
from mlir_datagen.mlir.parse import Contexts, function_types
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Proof
from mlir_datagen.sources.settings import SUITES

_ERRORS = ("error", "absolute_error")


class Repeated(NamedTuple):
    """Asks whether a digest was there before.

    Attributes:
        what: what the two programs then have in common, for a sentence that ends with the other's place.
        where: what the digest is of.
        digest: the digest.
    """

    what: str
    where: str
    digest: str


class InFile(NamedTuple):
    """Asks whether the program's file is listed with its digest."""


class Meets(NamedTuple):
    """Asks whether a program that is judged on computes the same.

    Attributes:
        hashes: of what this one computes.
    """

    hashes: list[str]


Found = str | Repeated | InFile | Meets
"""A problem, or a question that only all of a dataset answers, which may turn out to be one."""


class Row(NamedTuple):
    """What is known of a row when it was looked at alone.

    Attributes:
        found: problems and questions, in order.
    """

    name: str
    family: str
    sha256: str
    check: Any
    proven: Any
    found: Iterable[Found]


def looked_at(program: StoredProgram, row: dict[str, Any], found: Iterable[Found]) -> Row:
    """Return a row with what is found of its program."""
    return Row(program.name, program.family, program.sha256, row.get("check"), row.get("proven"), found)


def found_of_text(config: RunConfig, split: str, program: StoredProgram) -> Iterator[Found]:
    """Say what is wrong with the text of a program beside what it means."""
    # A suite stays whole, whatever else is in the dataset.
    where = split if split.startswith(f"{SUITES}.") else ""
    yield Repeated("is the same program as", where, program.sha256)
    if hashlib.sha256(program.text.encode()).hexdigest() != program.sha256:
        yield "has another text than its sha256 says"
    if config.storage != "parquet":
        yield InFile()


def place_problems(
    config: RunConfig, split: str, index: int, program: StoredProgram, row: dict[str, Any]
) -> Iterator[str]:
    """Say where the columns of a program's place differ from its place."""
    file = None if config.storage == "parquet" else program_file(split, program.name)
    place = {"split": split, "index": index, "file": file, "mlir": program.text}
    return differences({column: value for column, value in place.items() if column in row}, row)


def different_signature(program: StoredProgram, contexts: Contexts) -> Iterator[str]:
    """Compare the signature in the index with the function's."""
    types = function_types(program.text, contexts.next())
    for what, listed, found in zip(("arguments", "results"), (program.arguments, program.results), types, strict=True):
        if [(operand.dtype, operand.shape) for operand in listed] != found:
            yield f"has other {what} than its function"


def differences(expected: dict[str, Any], row: dict[str, Any]) -> Iterator[str]:
    """Compare what the index says of a program with what must stand there."""
    for column, value in expected.items():
        found = row.get(column)
        if isinstance(value, float) and isinstance(found, float):
            # One was computed with numbers of 64 bits.
            if math.isclose(value, found, rel_tol=1e-12):
                continue
        elif found == value and (found is None) == (value is None):
            continue
        yield f"has {column} {_where(found, value)}"


def _where(found: Any, value: Any) -> str:
    """Show two values that differ; of lists, the first elements that do."""
    if isinstance(found, list) and isinstance(value, list):
        pairs = zip_longest(found, value, fillvalue="nothing")
        found, value = next((one, other) for one, other in pairs if one != other)
    return f"{shown(found)} where {shown(value)} follows"


def proof_problems(row: dict[str, Any], is_compared: bool, is_network: bool) -> Iterator[str]:
    """Say where the columns of what is proven contradict each other, or what can be proven of such a program."""
    must_have = is_compared and row["check"] == "execute"
    for column in _ERRORS:
        error = row[column]
        if (error is None) == must_have:
            yield f"has {'no ' if error is None else ''}{column}, and its check is {shown(row['check'])}"
        elif error is not None and not 0 <= error < math.inf:
            yield f"has {column} {shown(error)}, which is none"
    excused, unshown = row["excused"], row["unshown"]
    if not _is_count(excused) if must_have and is_network else excused != (0 if must_have else None):
        yield f"has excused {shown(excused)}, and its check is {shown(row['check'])}"
    if not _are_names(unshown) if must_have and is_network else unshown is not None:
        yield f"has unshown {shown(unshown)}, and its check is {shown(row['check'])}"
        unshown = None
    follows = Proof(row["check"], row["error"], None, (), unshown=tuple(unshown) if unshown else None).proven
    if row["proven"] != follows:
        yield f"has proven {shown(row['proven'])} where {shown(follows)} follows"


def _is_count(value: Any) -> bool:
    return value is not None and value >= 0


def _are_names(value: Any) -> bool:
    return value is not None and all(value) and len(set(value)) == len(value)
