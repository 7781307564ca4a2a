"""What a task made, as rows of the index to be, and what becomes of these before they are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import ipc

from mlir_datagen.dataset.arrow import array_of, number_array, truth_array, word_array
from mlir_datagen.dataset.arrow_stream import stream_of
from mlir_datagen.dataset.columns import block_table
from mlir_datagen.dataset.schema import PROGRAM_SCHEMA
from mlir_datagen.mlir.signature import stored_argument
from mlir_datagen.programs.batch import Batch, Block, ProgramBlock
from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure, Measurement, Proof
from mlir_datagen.programs.rejected import Rejected, rejected_program

_WORKING = ("own_name", "asked_form", "command", "key", "measurement", "failure")
"""Columns that are not written, all of strings or null: the name that a program has already, the form that it was asked
for in, the command that makes it again where that is not its spec's, what equal programs have in common beside equal
texts, its time as JSON, and as JSON why it is not kept, where that is known and not applied yet."""

RESULT_SCHEMA = pa.schema([*PROGRAM_SCHEMA, *(pa.field(name, pa.string()) for name in _WORKING)])

_SIDES = ("arguments", "results")
_STORED = ("source", "family", "spec", "sha256", "mlir", *_SIDES)
"""The columns of what a stored program has beside its split and its name, in its order."""

_PROOF_COLUMNS: Mapping[str, Callable[[Proof], Any]] = {
    "check": lambda proof: proof.level,
    "proven": lambda proof: proof.proven,
    "error": lambda proof: proof.error,
    "absolute_error": lambda proof: proof.absolute_error,
    "excused": lambda proof: proof.excused,
    "unshown": lambda proof: proof.unshown,
}


@dataclass(frozen=True)
class TaskResult:
    """The programs of one split that a task made, in plan order, and what was rejected.

    Attributes:
        split: the split.
        table: a row for each program, with the columns of `RESULT_SCHEMA`.
        rejected: what is not kept.
        remarks: what the person is told of programs that are.
        kept_out: for programs that no random split may have, what the manifest says of them besides their number.
        lost: what rejected programs have in common with equal ones: digests of their texts, and their keys.
        machines: where their times were taken.
    """

    split: str
    table: Any
    rejected: Sequence[Rejected] = ()
    remarks: Sequence[str] = ()
    kept_out: Mapping[str, Any] | None = None
    lost: Sequence[str] = ()
    machines: Sequence[Machine] = ()

    def __len__(self) -> int:
        return len(self.table)

    def __reduce__(self) -> tuple[Callable[[bytes, dict[str, Any]], TaskResult], tuple[bytes, dict[str, Any]]]:
        return _received, (self.stream, self.beside_table)

    @cached_property
    def stream(self) -> bytes:
        """The table as a stream of Arrow. Who made it elsewhere has sent that, and it need not be made again."""
        return stream_of(self.table, RESULT_SCHEMA)

    @property
    def beside_table(self) -> dict[str, Any]:
        """All but the table, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "table"}

    @property
    def attempted(self) -> int:
        """How many programs were tried."""
        return len(self) + len(self.rejected)

    @property
    def are_named(self) -> bool:
        """Whether the programs have names of their own."""
        return len(self) > 0 and self.table.column("own_name").null_count == 0

    def strings(self, column: str) -> list[str]:
        """Return the values of a column of strings; those that are null as None."""
        values: list[str] = self.table.column(column).to_pylist()
        return values

    def without(self, failures: Mapping[int, Failure]) -> TaskResult:
        """Return what is left when programs fail a further stage, given by their rows."""
        if not failures:
            return self
        kept = truth_array([row not in failures for row in range(len(self))])
        rejected = [self._rejected(row, failure) for row, failure in sorted(failures.items())]
        return dataclasses.replace(
            self,
            table=self.table.filter(kept),
            rejected=[*self.rejected, *rejected],
            lost=[*self.lost, *self._identities(failures)],
        )

    def proven(self, outcomes: Sequence[Proof | Failure], machine: Machine | None) -> TaskResult:
        """Return the same programs with what was proven of them; `settled` leaves out those that failed.

        Args:
            outcomes: of each program. What was checked before, as whole networks are where they are converted, keeps
                its proof, and gets its time.
            machine: where times were taken, if any were.
        """
        levels, table = self.strings("check"), self.table
        for name, value in _PROOF_COLUMNS.items():
            values = [
                value(outcome) if level == "parse" and isinstance(outcome, Proof) else before
                for outcome, level, before in zip(outcomes, levels, table.column(name).to_pylist(), strict=True)
            ]
            table = _with_column(table, name, values)
        times = [one.measurement if isinstance(one, Proof) else None for one in outcomes]
        failures = [one if isinstance(one, Failure) else None for one in outcomes]
        table = _with_column(table, "measurement", list(map(_json, times)))
        table = _with_column(table, "failure", list(map(_json, failures)))
        machines = self.machines if machine is None else (*self.machines, machine)
        return dataclasses.replace(self, table=table, machines=machines)

    def settled(self) -> TaskResult:
        """Return what is left without the programs that have failed."""
        if self.table.column("failure").null_count == len(self):
            return self
        failures = enumerate(self.strings("failure"))
        return self.without({row: Failure(**orjson.loads(failure)) for row, failure in failures if failure})

    @property
    def measurements(self) -> list[Measurement | None]:
        """The time of each program."""
        return [None if time is None else Measurement(**orjson.loads(time)) for time in self.strings("measurement")]

    def written_at_once(self) -> Iterator[tuple[Any, list[str] | None]]:
        """Yield rows that are written at once: all that are to be numbered, or one that has a name, with it."""
        if not self.are_named:
            yield self.table, None
            return
        for row, name in enumerate(self.strings("own_name")):
            yield self.table.slice(row, 1), [name]

    def programs(self) -> Iterator[StoredProgram]:
        """Yield the programs as a dataset holds them; those that are to be numbered have no names."""
        for row in self.table.select(("own_name", *_STORED)).to_pylist():
            sides = (tuple(map(stored_argument, row[side])) for side in _SIDES)
            own = {**row, **dict(zip(_SIDES, sides, strict=True))}
            yield StoredProgram(self.split, own["own_name"] or "", *(own[column] for column in _STORED))

    @property
    def identities(self) -> list[str]:
        """What these programs, and the rejected ones, have in common with equal ones."""
        return [*self._identities(range(len(self))), *self.lost]

    def _identities(self, rows: Iterable[int]) -> Iterator[str]:
        columns = [self.strings(name) for name in ("sha256", "key")]
        return (column[row] for row in rows for column in columns if column[row] is not None)

    def _rejected(self, row: int, failure: Failure) -> Rejected:
        names = ("family", "spec", "asked_form", "command", "own_name")
        family, spec, form, command, name = (self.table.column(column)[row].as_py() for column in names)
        if command is None:
            return rejected_program(family, self.split, spec, failure, form, name or "")
        return Rejected(family, self.split, spec, failure.stage, failure.reason, command, name)


def _received(stream: bytes, beside_table: dict[str, Any]) -> TaskResult:
    with ipc.open_stream(stream) as reader:
        result = TaskResult(table=reader.read_all(), **beside_table)
    # Where `cached_property` keeps it.
    vars(result)["stream"] = stream
    return result


def joined(results: Sequence[TaskResult]) -> TaskResult:
    """Return as one what became of the parts of a task."""
    first = results[0]
    return TaskResult(
        first.split,
        pa.concat_tables([one.table for one in results]),
        [rejected for one in results for rejected in one.rejected],
        [remark for one in results for remark in one.remarks],
        first.kept_out,
        machines=list({machine.id: machine for one in results for machine in one.machines}.values()),
    )


def result_of(batch: Batch, keys: Callable[[Block], Sequence[str]] | None = None) -> TaskResult:
    """Return what a source made of a task, as rows.

    Args:
        batch: what it made.
        keys: what equal programs of a block have in common beside equal texts.
    """
    tables = [_with_working_columns(batch.split, block, keys) for block in batch.blocks]
    table = pa.concat_tables(tables) if any(map(len, tables)) else RESULT_SCHEMA.empty_table()
    order = batch.order if len(table) else np.empty(0, np.int64)
    # To take rows in the order in which they are takes as long as making them.
    if not np.all(order[:-1] < order[1:]):
        table = table.take(number_array(order))
    remarks = [program.remark for program in batch.programs if program.remark]
    return TaskResult(batch.split, table, batch.rejected, remarks, batch.kept_out)


def _with_working_columns(split: str, block: Block, keys: Callable[[Block], Sequence[str]] | None) -> Any:
    rows = len(block.texts)
    columns: dict[str, Sequence[str | None] | None] = dict.fromkeys(_WORKING)
    if isinstance(block, ProgramBlock):
        columns["asked_form"] = block.forms
    else:
        columns["own_name"] = [program.name or None for program in block.programs]
        columns["asked_form"] = [program.asked_form for program in block.programs]
        columns["command"] = [program.command or None for program in block.programs]
    if keys is not None:
        columns["key"] = keys(block)
    arrays = [pa.nulls(rows, pa.string()) if column is None else word_array(column) for column in columns.values()]
    return pa.Table.from_arrays([*block_table(split, block).columns, *arrays], schema=RESULT_SCHEMA)


def _json(value: Measurement | Failure | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _with_column(table: Any, name: str, values: Sequence[Any]) -> Any:
    field = RESULT_SCHEMA.field(name)
    return table.set_column(RESULT_SCHEMA.get_field_index(name), field, array_of(values, field.type))
