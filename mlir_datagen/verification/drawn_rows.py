"""The rows of programs that were drawn: all that can be said of some of them alone, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.paths import number_width
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import Rejection, UserError, said, shown
from mlir_datagen.mlir.parse import Contexts, Verifier
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.programs.content import Splitter
from mlir_datagen.programs.program import StoredProgram, family_program
from mlir_datagen.programs.spec import parse_spec, spec_json
from mlir_datagen.proving.batch import check_level
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.sameness import compared, sameness
from mlir_datagen.verification.listed import row_beside_text
from mlir_datagen.verification.one_row import (
    Found,
    Meets,
    Repeated,
    Row,
    differences,
    different_signature,
    found_of_text,
    looked_at,
    place_problems,
    proof_problems,
)


@dataclass(frozen=True)
class DrawnRows:
    """Some consecutive rows of a split that is drawn. They can be pickled.

    Attributes:
        dataset, config: whose they are.
        split, file: where they are from.
        start: the number of the first.
        batch: the rows.
        planned: family and spec, as JSON, of what the config draws there, one less for each that it does not; None
            where another generator version did.
        are_judged: whether there are programs that none of these may compute.
    """

    dataset: Dataset
    config: RunConfig
    split: str
    file: str
    start: int
    batch: Any
    planned: Sequence[tuple[str, str]] | None
    are_judged: bool


def check_drawn(rows: DrawnRows) -> list[Row]:
    """Look at each row.

    Raises:
        UserError: when one cannot be read.
    """
    checks = _Checks(rows)
    found = []
    for place, row in enumerate(rows.dataset.rows_of(rows.file, rows.batch)):
        program = rows.dataset.program(rows.split, row)
        found.append(looked_at(program, row, list(checks.found(place, program, row))))
    return found


class _Checks:
    def __init__(self, rows: DrawnRows) -> None:
        self._rows, self._config = rows, rows.config
        self._verifier, self._contexts, self._hasher = Verifier(), Contexts(), ProgramHasher()
        self._splitter = Splitter(rows.config.split_ratios)
        self._sameness = sameness(rows.config.random_settings)
        self._width = number_width(rows.config.splits[rows.split])

    def found(self, place: int, program: StoredProgram, row: dict[str, Any]) -> Iterator[Found]:
        """Yield what is found of a row, given by its place among these."""
        split, index = self._rows.split, self._rows.start + place
        yield from found_of_text(self._config, split, program)
        yield from place_problems(self._config, split, index, program, row)
        if self._rows.planned is None:
            yield from self._foreign_problems(program)
        else:
            yield from self._drawn_problems(index, program, row, self._rows.planned[place : place + 1])
        try:
            self._verifier.verify(program.text)
        except Rejection as rejection:
            yield f"is not valid MLIR: {said(rejection.reason)}"
            return
        try:
            yield from different_signature(program, self._contexts)
            if self._sameness is not None:
                spec = parse_spec(program.family, program.spec)
                family = PROGRAM_FAMILIES[program.family]
                text = compared(family, spec, program.text)
                computed = self._sameness.key(program.family, len(family.graph(spec).nodes), text, self._hasher)
                yield Repeated("computes the same as", "computed", computed)
            if self._rows.are_judged:
                yield Meets(self._hasher.hashes(program.text))
        except (UserError, ValueError) as error:
            yield f"is no program of this split: {said(error)}"

    def _drawn_problems(
        self, index: int, program: StoredProgram, row: dict[str, Any], planned: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        """Say what is wrong with a program that was drawn from a grid: all of it follows from the config."""
        split, config = self._rows.split, self._config
        try:
            family, spec = PROGRAM_FAMILIES.get(program.family), parse_spec(program.family, program.spec)
        except UserError as error:
            yield f"has no usable spec: {error}"
            return
        assert family is not None
        if self._splitter.names[int(self._splitter(family.name, spec))] != split:
            yield "belongs to another split"
        if list(planned) != [(family.name, spec_json(spec))]:
            yield f"is not what the config draws in its place: {' '.join(planned[0]) if planned else 'none'}"
        form = config.forms.of(config.seed, family, spec)
        name = f"{family.name}_{index:0{self._width}d}"
        made = family_program(name, RandomOps.name, family, spec, config.seed, form)
        if made.text != program.text:
            yield "is not the program of its spec"
        level = check_level(config.check, config.seed, program.sha256)
        yield from differences({**row_beside_text(split, made, level), "name": name}, row)
        yield from proof_problems(row, is_compared=True, is_network=False)

    def _foreign_problems(self, program: StoredProgram) -> Iterator[str]:
        """Say what is wrong with a program that another generator version drew."""
        if program.source != RandomOps.name:
            yield f"has source {shown(program.source)} and must have {RandomOps.name}"
        try:
            spec = parse_spec(program.family, program.spec)
        except UserError as error:
            yield f"has no usable spec: {error}"
            return
        if self._splitter.names[int(self._splitter(program.family, spec))] != self._rows.split:
            yield "belongs to another split"
