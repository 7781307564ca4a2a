"""The programs of a dataset in the form that MLIR-RL reads, with their times, and what stands in the way of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlir_datagen.config.export import TimeBounds
from mlir_datagen.dataset.reader import StoredProgram
from mlir_datagen.errors import Rejection
from mlir_datagen.export.base import ExportInput
from mlir_datagen.export.mlir_rl.contract import program_problems, time_problem
from mlir_datagen.mlir.parse import Contexts, function_types
from mlir_datagen.mlir.timed_main import TimedProgram, Timer
from mlir_datagen.ops.family import Operand
from mlir_datagen.program import signature
from mlir_datagen.proving.batch import job_without_reference
from mlir_datagen.proving.job import Failure, Job

UNREADABLE = "outside what MLIR-RL reads"
UNMEASURED = "without a time"
TOO_SHORT = "shorter than min_ns"
TOO_LONG = "longer than max_ns"
TWICE = "the same as one to evaluate on"


class Reason(NamedTuple):
    """Why a program is left out: what those with this reason are, as a part of a sentence, and about this one."""

    what: str
    text: str


@dataclass
class Candidate:
    """A program that may be exported.

    Attributes:
        program: as the dataset has it.
        label: the words that its name begins with when it has no better one.
        timed: in its timed form, if it has one.
        nanoseconds: its time in that form, if it is known.
        reasons: why it cannot be exported.
    """

    program: StoredProgram
    label: str
    timed: TimedProgram | None
    nanoseconds: int | None
    reasons: list[Reason] = field(default_factory=list)


def candidates(given: ExportInput) -> list[Candidate]:
    """Return the programs of a dataset in their timed form, with their times.

    Those to evaluate on come first: they stay whole, and what is the same in this form is not trained on.
    """
    timer = Timer()
    found = [_candidate(given, timer, program, label) for program, label in _programs(given)]
    _measure_rewritten(given, [candidate for candidate in found if _is_rewritten(candidate)])
    for candidate in found:
        if candidate.nanoseconds is not None:
            candidate.reasons[:0] = _time_reasons(candidate.nanoseconds, given.bounds)
    return found


def _programs(given: ExportInput) -> Iterator[tuple[StoredProgram, str]]:
    for to_train in (False, True):
        for split, rows in given.dataset.rows():
            if (split in given.train) != to_train:
                continue
            for row in rows:
                program = given.dataset.program(split, row)
                yield program, "_".join(dict.fromkeys(filter(None, (program.family, row.get("kind")))))


def _candidate(given: ExportInput, timer: Timer, program: StoredProgram, label: str) -> Candidate:
    measurement = given.times.get((program.split, program.name))
    # Their loaders want whole numbers.
    nanoseconds = None if measurement is None else round(measurement.median_ns)
    candidate = Candidate(program, label, None, nanoseconds)
    if nanoseconds is None:
        candidate.reasons.append(Reason(UNMEASURED, "it has no measured time: measuring it failed"))
    try:
        candidate.timed = timer.timed(program.text)
    except Rejection as rejection:
        candidate.reasons.append(Reason(UNREADABLE, rejection.reason))
    else:
        candidate.reasons += [Reason(UNREADABLE, problem) for problem in program_problems(candidate.timed.facts)]
    return candidate


def _time_reasons(nanoseconds: int, bounds: TimeBounds) -> Iterator[Reason]:
    if problem := time_problem(nanoseconds):
        yield Reason(TOO_SHORT if nanoseconds <= 0 else TOO_LONG, problem)
    elif bounds.min_ns is not None and nanoseconds < bounds.min_ns:
        yield Reason(TOO_SHORT, f"its time, {nanoseconds} ns, is less than min_ns, {bounds.min_ns}")
    elif bounds.max_ns is not None and nanoseconds > bounds.max_ns:
        yield Reason(TOO_LONG, f"its time, {nanoseconds} ns, is more than max_ns, {bounds.max_ns}")


def _is_rewritten(candidate: Candidate) -> bool:
    """Tell whether it is another program than the dataset's, and could be exported."""
    return candidate.timed is not None and bool(candidate.timed.rewritten) and not candidate.reasons


def _measure_rewritten(given: ExportInput, rewritten: Sequence[Candidate]) -> None:
    """Give programs that were rewritten times of their own: transpositions, for one, take some."""
    if not rewritten:
        return
    if given.measure is None:
        for candidate in rewritten:
            assert candidate.timed is not None
            what = f"it is exported in another form ({'; '.join(candidate.timed.rewritten)}), which was not measured"
            candidate.nanoseconds = None
            candidate.reasons.append(Reason(UNMEASURED, f"{what}: export without --no-measure"))
        return
    contexts = Contexts()
    jobs = [_job(candidate.timed.operations, contexts) for candidate in rewritten if candidate.timed is not None]
    for candidate, outcome in zip(rewritten, given.measure(jobs), strict=True):
        if isinstance(outcome, Failure):
            candidate.nanoseconds = None
            reason = f"measuring it in the exported form failed at the stage {outcome.stage}: {outcome.reason}"
            candidate.reasons.append(Reason(UNMEASURED, reason))
        else:
            candidate.nanoseconds = round(outcome.median_ns)


def _job(text: str, contexts: Contexts) -> Job:
    arguments, results = (
        [Operand("", shape, dtype) for dtype, shape in types] for types in function_types(text, contexts.next())
    )
    return job_without_reference(
        text, signature("input", arguments), signature("output", results), "parse", measure=True
    )
