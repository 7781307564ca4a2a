"""Each program of a dataset: its text, its place, and every column that follows from others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.paths import program_file
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import Rejection, UserError, said, shown
from mlir_datagen.mlir.parse import Contexts, Verifier, function_types
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.programs.content import Splitter
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT, StoredProgram, family_program
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.programs.spec import parse_spec, spec_json
from mlir_datagen.proving.batch import check_level
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.sameness import sameness
from mlir_datagen.sources.settings import SUITES
from mlir_datagen.sources.suites import SOURCE
from mlir_datagen.verification.comparing import differences, proof_problems
from mlir_datagen.verification.drawn import Drawing
from mlir_datagen.verification.listed import Listing, row_beside_text
from mlir_datagen.verification.merged import Merged
from mlir_datagen.verification.summary import Summary


class RowChecks:
    """What is checked of every row, and what adds up over them.

    Args:
        dataset: the dataset.
        config: its config.
        rejected: what its run rejected.
        drawing: the programs that its run draws; None where another generator version did, or it was merged.
        merged: knows what the programs of a merged dataset must be; None for others.

    Attributes:
        summary: what was seen so far.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: RunConfig,
        rejected: Sequence[Rejected],
        drawing: Drawing | None,
        merged: Merged | None = None,
    ) -> None:
        self.summary = Summary()
        self._dataset, self._config, self._drawing, self._merged = dataset, config, drawing, merged
        self._listing = Listing(config, rejected)
        self._verifier, self._contexts = Verifier(), Contexts()
        self._splitter = Splitter(config.split_ratios)
        self._listed = dataset.checksums()
        self._first_places: dict[tuple[str, str], str] = {}
        self._sameness = sameness(config.random_settings) if merged is None else merged.sameness
        self._hasher = ProgramHasher()
        self._unseen = Decontamination()
        self._split = ""
        self._width = 0
        self._planned: Iterator[Any] = iter(())
        self._names: list[str] | None = None

    def problems(self, split: str, row: dict[str, Any]) -> Iterator[str]:
        """Say what is wrong with a row; they come in the order of the index."""
        program = self._dataset.program(split, row)
        place = f"{split}/{program.name}"
        for problem in self._problems(split, program, row):
            yield f"{place} {problem}"

    def _problems(self, split: str, program: StoredProgram, row: dict[str, Any]) -> Iterator[str]:
        if split != self._split:
            self._open(split)
        index = len(self.summary.names[split])
        self.summary.names[split].append(program.name)
        self.summary.families[split][program.family] += 1
        self.summary.digests[split].append(program.sha256)
        self.summary.checked += row.get("check") != "parse"
        self.summary.matched += row.get("proven") == "matched"
        yield from self._text_problems(split, program)
        file = None if self._config.storage == "parquet" else program_file(split, program.name)
        place = {"split": split, "index": index, "file": file, "mlir": program.text}
        yield from differences({column: value for column, value in place.items() if column in row}, row)
        is_drawn = split in self._config.splits
        if self._drawing is not None and is_drawn:
            yield from self._drawn_problems(split, index, program, row)
        elif is_drawn and self._merged is None:
            yield from self._foreign_problems(split, program)
        try:
            self._verifier.verify(program.text)
        except Rejection as rejection:
            yield f"is not valid MLIR: {said(rejection.reason)}"
            return
        try:
            yield from self._different_signature(program)
            if self._sameness is not None and is_drawn:
                spec = parse_spec(program.family, program.spec)
                operations = len(PROGRAM_FAMILIES[program.family].graph(spec).nodes)
                computed = self._sameness.key(program.family, operations, program.text, self._hasher)
                yield from self._repeated("computes the same as", "computed", computed, split, program)
            yield from self._meeting_problems(split, program, is_drawn)
            if self._merged is not None:
                yield from self._merged.problems(split, index, program, row)
            if self._drawing is not None and not is_drawn:
                yield from self._listed_problems(split, index, program, row)
        except (UserError, ValueError) as error:
            yield f"is no program of this split: {said(error)}"

    def _open(self, split: str) -> None:
        self._split = split
        self.summary.names[split], self.summary.digests[split] = [], []
        self.summary.families[split] = Counter()
        if split in self._config.splits:
            self._width = max(4, len(str(self._config.splits[split] - 1)))
            self._planned = self._drawing.programs(split) if self._drawing is not None else iter(())
        else:
            self._names = self._listing.names(split) if self._drawing is not None else None

    def _text_problems(self, split: str, program: StoredProgram) -> Iterator[str]:
        # A suite stays whole, whatever else is in the dataset.
        where = split if split.startswith(f"{SUITES}.") else ""
        yield from self._repeated("is the same program as", where, program.sha256, split, program)
        if hashlib.sha256(program.text.encode()).hexdigest() != program.sha256:
            yield "has another text than its sha256 says"
        in_files = self._config.storage != "parquet"
        if in_files and self._listed.get(program_file(split, program.name)) != program.sha256:
            yield "has another text in its file than in the index"

    def _repeated(self, what: str, where: str, digest: str, split: str, program: StoredProgram) -> Iterator[str]:
        if (where, digest) in self._first_places:
            yield f"{what} {self._first_places[where, digest]}"
        self._first_places[where, digest] = f"{split}/{program.name}"

    def _drawn_problems(self, split: str, index: int, program: StoredProgram, row: dict[str, Any]) -> Iterator[str]:
        """Say what is wrong with a program that was drawn from a grid: all of it follows from the config."""
        try:
            family, spec = PROGRAM_FAMILIES.get(program.family), parse_spec(program.family, program.spec)
        except UserError as error:
            yield f"has no usable spec: {error}"
            return
        assert family is not None
        if self._splitter.names[int(self._splitter(family.name, spec))] != split:
            yield "belongs to another split"
        planned = next(self._planned, None)
        if planned is None or (planned[0].name, planned[1]) != (family.name, spec):
            would = "none" if planned is None else f"{planned[0].name} {spec_json(planned[1])}"
            yield f"is not what the config draws in its place: {would}"
        form = self._config.forms.of(self._config.seed, family, spec)
        name, config = f"{family.name}_{index:0{self._width}d}", self._config
        made = family_program(name, RandomOps.name, family, spec, config.seed, form)
        if made.text != program.text:
            yield "is not the program of its spec"
        level = check_level(config.check, config.seed, program.sha256)
        yield from differences({**row_beside_text(split, made, level), "name": name}, row)
        yield from proof_problems(row, is_compared=True, is_network=False)

    def _foreign_problems(self, split: str, program: StoredProgram) -> Iterator[str]:
        """Say what is wrong with a program that another generator version drew."""
        if program.source != RandomOps.name:
            yield f"has source {shown(program.source)} and must have {RandomOps.name}"
        try:
            spec = parse_spec(program.family, program.spec)
        except UserError as error:
            yield f"has no usable spec: {error}"
            return
        # Datasets of other proportions may have been merged.
        names = self._splitter.names
        if names and names[int(self._splitter(program.family, spec))] != split:
            yield "belongs to another split"

    def _different_signature(self, program: StoredProgram) -> Iterator[str]:
        """Compare the signature in the index with the function's."""
        types = function_types(program.text, self._contexts.next())
        for what, listed, found in zip(
            ("arguments", "results"), (program.arguments, program.results), types, strict=True
        ):
            if [(operand.dtype, operand.shape) for operand in listed] != found:
                yield f"has other {what} than its function"

    def _meeting_problems(self, split: str, program: StoredProgram, is_drawn: bool) -> Iterator[str]:
        """Say which program that is judged on a drawn one meets; those splits come before the random ones."""
        if is_drawn:
            refused = self._unseen.refused(program.text)
            if refused is not None:
                yield f"must not be there: {refused.reason}"
        elif split != NETWORKS_SPLIT and program.family != NETWORK:
            self._unseen.add(split, [program.text])

    def _listed_problems(self, split: str, index: int, program: StoredProgram, row: dict[str, Any]) -> Iterator[str]:
        expected = self._listing.expected(split, program, row)
        if self._names is not None and self._names[index : index + 1] != [program.name]:
            must = ", ".join(self._names[index : index + 1]) or "none"
            yield f"is not the program of its place: {must}"
        yield from differences(expected, row)
        is_compared = expected["source"] == SOURCE or split == NETWORKS_SPLIT or expected["source"] == NETWORK
        yield from proof_problems(row, is_compared, is_network=expected["source"] == NETWORK)

    def totals(self) -> Iterator[str]:
        """Say which splits lack programs that are made."""
        if self._drawing is None:
            return
        for split in self._dataset.splits:
            names = self.summary.names.get(split, [])
            expected = None if split in self._config.splits else self._listing.names(split)
            if expected is not None and len(expected) > len(names):
                yield f"{split} lacks {expected[len(names)]}"
