"""What the index says of a program, compared with what must stand there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from mlir_datagen.errors import shown
from mlir_datagen.programs.proof import Proof

_ERRORS = ("error", "absolute_error")


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
