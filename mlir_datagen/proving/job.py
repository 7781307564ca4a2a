"""What goes to a worker process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlir_datagen.mlir.signature import Argument, Operand
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.programs.program import EXTRACTED, Program, StoredProgram
from mlir_datagen.programs.spec import parse_spec, spec_json


@dataclass(frozen=True)
class Job:
    """One program to prove.

    Attributes:
        family: the family's name, for its reference; None for a program that has none, which is only run.
        spec: the spec as JSON.
        text: the program.
        shapes: of the arguments, then of the results.
        dtypes: their element types.
        arguments: how many of the shapes are arguments.
        level: one of `LEVELS`.
        measure: whether its time is measured.
    """

    family: str | None
    spec: str
    text: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    arguments: int
    level: str
    measure: bool

    @property
    def is_run(self) -> bool:
        """Whether the program is compiled and run, and not only lowered."""
        return self.level == "execute" or self.measure

    @property
    def last_stage(self) -> str:
        """The stage that a program which ends its process fails: which of the earlier ones it passed is not known."""
        return "executed" if self.is_run else "lowered"


@dataclass(frozen=True)
class EagerJob:
    """What a program computes, to be measured as PyTorch does it: eagerly, one operation after the other.

    Attributes:
        prepare: makes, in the worker process, the call that is timed; it is found there by its name. It raises a
            `Rejection` at stage `measured` for what cannot be called.
    """

    prepare: Callable[[], Callable[[], Any]]

    @property
    def last_stage(self) -> str:
        """The stage that it fails when its process ends."""
        return "measured"


def job_of_program(program: Program | StoredProgram, level: str, measure: bool) -> Job:
    """Return the job of proving a program.

    The programs of the op families have a reference, whoever listed them; networks, and what was taken out of them
    under a family's name, have none.

    Raises:
        UserError: when the spec of a family's program is damaged.
    """
    if program.family in PROGRAM_FAMILIES and program.source != EXTRACTED:
        spec = parse_spec(program.family, program.spec)
        return job_of(PROGRAM_FAMILIES[program.family], spec, program.text, level, measure)
    return job_without_reference(program.text, program.arguments, program.results, level, measure)


def job_of(family: AnyFamily, spec: AnySpec, text: str, level: str, measure: bool) -> Job:
    """Return the job of proving one program of a family."""
    graph = family.graph(spec)
    job = job_without_reference(text, graph.arguments, graph.results, level, measure)
    return dataclasses.replace(job, family=family.name, spec=spec_json(spec))


def job_without_reference(
    text: str,
    arguments: Sequence[Argument] | Sequence[Operand],
    results: Sequence[Argument] | Sequence[Operand],
    level: str,
    measure: bool,
) -> Job:
    """Return the job of lowering, running or measuring a program that there is no reference for."""
    operands = (*arguments, *results)
    shapes = tuple(operand.shape for operand in operands)
    dtypes = tuple(operand.dtype for operand in operands)
    return Job(None, "", text, shapes, dtypes, len(arguments), level, measure)
