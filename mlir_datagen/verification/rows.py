"""Each program of a dataset: its text, its place, and every column that follows from others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.paths import program_file
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import Rejection, UserError, said
from mlir_datagen.executors.engine import tasks_ahead
from mlir_datagen.mlir.parse import Contexts, Verifier
from mlir_datagen.programs.production import Progress
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT, StoredProgram
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.programs.spec import spec_json
from mlir_datagen.proving.pool import JobEnded
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.suites import SOURCE
from mlir_datagen.verification.drawn import Drawing
from mlir_datagen.verification.drawn_rows import DrawnRows, check_drawn
from mlir_datagen.verification.listed import Listing
from mlir_datagen.verification.merged import Merged
from mlir_datagen.verification.one_row import (
    Found,
    InFile,
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
from mlir_datagen.verification.summary import Summary

_ROWS_AT_A_TIME = 1024


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
        self._listed = dataset.checksums()
        self._first_places: dict[tuple[str, str], str] = {}
        self._unseen = Decontamination()

    def problems(self, executor: Executor | None, progress: Progress) -> Iterator[list[str]]:
        """Say what is wrong with each row, in the order of the index.

        Args:
            executor: looks at rows that were drawn, some of them at once; left out, this process does.
            progress: called with the number of rows that were just looked at.

        Raises:
            UserError: when rows cannot be read, or end the processes that look at them.
        """
        for split, rows in self._in_turn(executor):
            count = 0
            for row in rows():
                count += 1
                yield [f"{split}/{row.name} {problem}" for problem in self._answered(split, row)]
            progress(count)

    def _in_turn(self, executor: Executor | None) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
        """Yield some rows after others, each with what looks at them, which may have begun."""
        chunks = self._chunks(executor)
        waiting: deque[tuple[str, Callable[[], Iterator[Row]]]] = deque(
            islice(chunks, 1 if executor is None else tasks_ahead(executor))
        )
        while waiting:
            yield waiting.popleft()
            waiting.extend(islice(chunks, 1))

    def _chunks(self, executor: Executor | None) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
        split, start = "", 0
        planned: Iterator[tuple[str, str]] | None = None
        are_judged = False
        batches = self._dataset.batches(_ROWS_AT_A_TIME)
        while True:
            try:
                now, file, batch = next(batches)
            except StopIteration:
                return
            except UserError as error:
                # In its turn: what is wrong with rows before comes first.
                yield split, _raising(error)
                return
            if now != split:
                split, start, planned = now, 0, self._planned(now)
            if split in self._config.splits and self._merged is None:
                expected = None if planned is None else list(islice(planned, len(batch)))
                rows = DrawnRows(self._dataset, self._config, split, file, start, batch, expected, are_judged)
                yield split, _begun(rows, executor)
            else:
                are_judged |= split != NETWORKS_SPLIT
                yield split, self._listed_rows(split, file, start, batch)
            start += len(batch)

    def _planned(self, split: str) -> Iterator[tuple[str, str]] | None:
        if self._drawing is None:
            return None
        if split not in self._config.splits:
            return iter(())
        return ((family.name, spec_json(spec)) for family, spec in self._drawing.programs(split))

    def _answered(self, split: str, row: Row) -> Iterator[str]:
        """Yield the problems of a row, with those that only the rows before tell."""
        if split not in self.summary.names:
            self.summary.names[split], self.summary.digests[split] = [], []
            self.summary.families[split] = Counter()
        self.summary.names[split].append(row.name)
        self.summary.families[split][row.family] += 1
        self.summary.digests[split].append(row.sha256)
        self.summary.checked += row.check != "parse"
        self.summary.matched += row.proven == "matched"
        for found in row.found:
            problem = found if isinstance(found, str) else self._answer(found, split, row)
            if problem is not None:
                yield problem

    def _answer(self, question: Repeated | InFile | Meets, split: str, row: Row) -> str | None:
        """Return what is wrong, if anything."""
        if isinstance(question, InFile):
            is_listed = self._listed.get(program_file(split, row.name)) == row.sha256
            return None if is_listed else "has another text in its file than in the index"
        if isinstance(question, Meets):
            refused = self._unseen.refused_hashes(question.hashes)
            return None if refused is None else f"must not be there: {refused.reason}"
        key = question.where, question.digest
        before = self._first_places.get(key)
        self._first_places[key] = f"{split}/{row.name}"
        return None if before is None else f"{question.what} {before}"

    def _listed_rows(self, split: str, file: str, start: int, batch: Any) -> Callable[[], Iterator[Row]]:
        """Return what looks at rows that were listed, in this process: what they must be hangs on those before."""

        def rows() -> Iterator[Row]:
            for index, row in enumerate(self._dataset.rows_of(file, batch), start):
                program = self._dataset.program(split, row)
                yield looked_at(program, row, self._listed_found(split, index, program, row))

        return rows

    def _listed_found(self, split: str, index: int, program: StoredProgram, row: dict[str, Any]) -> Iterator[Found]:
        yield from found_of_text(self._config, split, program)
        yield from place_problems(self._config, split, index, program, row)
        try:
            self._verifier.verify(program.text)
        except Rejection as rejection:
            yield f"is not valid MLIR: {said(rejection.reason)}"
            return
        try:
            yield from different_signature(program, self._contexts)
            if self._merged is not None and split in self._config.splits:
                yield from self._merged.questions(program)
            # Those splits come before the ones that are drawn.
            elif split != NETWORKS_SPLIT and program.family != NETWORK:
                self._unseen.add(split, [program.text])
            if self._merged is not None:
                yield from self._merged.problems(split, index, program, row)
            if self._drawing is not None:
                yield from self._listed_problems(split, index, program, row)
        except (UserError, ValueError) as error:
            yield f"is no program of this split: {said(error)}"

    def _listed_problems(self, split: str, index: int, program: StoredProgram, row: dict[str, Any]) -> Iterator[str]:
        names = self._listing.names(split)
        expected = self._listing.expected(split, program, row)
        if names is not None and names[index : index + 1] != [program.name]:
            must = ", ".join(names[index : index + 1]) or "none"
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


def _begun(rows: DrawnRows, executor: Executor | None) -> Callable[[], Iterator[Row]]:
    """Return what gives the rows looked at; where there is an executor, that begins now."""
    if executor is None:
        return lambda: iter(check_drawn(rows))
    future = executor.submit(check_drawn, rows)

    def done() -> Iterator[Row]:
        try:
            return iter(future.result())
        except JobEnded as reason:
            last = rows.start + len(rows.batch) - 1
            raise UserError(
                f"One of the programs {rows.start} to {last} of {rows.split} ends the processes that look at it: "
                f"{reason}. Generate the dataset again."
            ) from None

    return done


def _raising(error: UserError) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        raise error

    return rows
