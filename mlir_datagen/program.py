"""The values that flow from a source to the writer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, UserError, listed, nearest
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec

STAGES = ("emitted", "verified", "unique")
"""What a program passes, in this order; a rejection names the one that it failed."""


@dataclass(frozen=True)
class Rejected:
    """A program that was not kept, with what is needed to see it again.

    Attributes:
        spec: the spec as JSON.
        stage: the stage it failed, one of `STAGES`.
        reason: why, on one line.
        command: the command that makes and checks this program alone.
    """

    family: str
    split: str
    spec: str
    stage: str
    reason: str
    command: str


def spec_json(spec: Spec) -> str:
    """Return a spec as one line of JSON; the family's `spec_from_json` reads it back."""
    return orjson.dumps(spec._asdict()).decode()


def program_from_json(family: str, spec: str) -> str:
    """Return the text of the program that a family's name and a spec as JSON describe.

    Raises:
        UserError: when there is no such family, or its spec has other fields.
    """
    if family not in FAMILIES:
        raise UserError(f'There is no op "{family}".{nearest(family, FAMILIES)} The ops are {listed(FAMILIES)}.')
    try:
        return FAMILIES[family].program(FAMILIES[family].spec_from_json(orjson.loads(spec)))
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise UserError(
            f"{spec!r} is not a spec of {family} as JSON ({error}); the index has a column of them."
        ) from error


def rejected_program(family: str, split: str, spec: str, rejection: Rejection) -> Rejected:
    """Describe a rejection so that it can be repeated."""
    command = f"python scripts/program.py {family} {shlex.quote(spec)}"
    return Rejected(family, split, spec, rejection.stage, rejection.reason, command)


@dataclass(frozen=True)
class ProgramBlock:
    """Proven programs of one variant, by column.

    Attributes:
        spec: a spec whose dimensions are columns, one element for each program.
        specs: the same, one spec for each program.
        positions: where each program stands among those of its task.
    """

    family: OpFamily
    kind: str
    spec: Spec
    specs: Sequence[Spec]
    texts: Sequence[str]
    digests: Sequence[str]
    positions: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """What a task produced: blocks whose positions together are in plan order, and what was rejected."""

    split: str
    source: str
    seed: int
    blocks: Sequence[ProgramBlock]
    rejected: Sequence[Rejected]
