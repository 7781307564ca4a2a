"""The programs of a dataset in the form that MLIR-RL reads, with their times, and what stands in the way of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlir_datagen.config.export import TimeBounds
from mlir_datagen.errors import Rejection
from mlir_datagen.export.base import ExportInput
from mlir_datagen.export.mlir_rl.contract import program_problems, time_problem
from mlir_datagen.mlir.parse import Contexts, function_types
from mlir_datagen.mlir.signature import Operand, signature
from mlir_datagen.mlir.timed_main import TimedProgram, Timer
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.job import Job, job_without_reference

UNREADABLE = "outside what MLIR-RL reads"
UNMEASURED = "without a time"
TOO_SHORT = "shorter than min_ns"
TOO_LONG = "longer than max_ns"
TWICE = "the same as one to evaluate on"

_FILL_NS_PER_BYTE = 0.5
"""More than filling a tensor takes, also one larger than the caches: 0.3 was seen."""
_SHOWS = 0.01
"""The part of a time from which on it is measured again: less than two measurements differ by."""


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
    _measure_exported_forms(given, [candidate for candidate in found if _needs_a_time(candidate, given.bounds)])
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


def _needs_a_time(candidate: Candidate, bounds: TimeBounds) -> bool:
    """Tell whether it could be exported, and the dataset's time is not that of its exported form."""
    timed, nanoseconds = candidate.timed, candidate.nanoseconds
    if timed is None or nanoseconds is None or candidate.reasons:
        return False
    # Filling in the initial values, which the exported form leaves out, makes none shorter.
    is_long_enough = nanoseconds >= max(1, bounds.min_ns or 0)
    shows = timed.initial_bytes * _FILL_NS_PER_BYTE > _SHOWS * nanoseconds
    return bool(timed.rewritten) or (is_long_enough and shows)


def _measure_exported_forms(given: ExportInput, others: Sequence[Candidate]) -> None:
    """Give programs whose exported form is another program times of their own: transpositions, for one, take some."""
    if not others:
        return
    programs = [candidate.timed for candidate in others if candidate.timed is not None]
    if given.measure is None:
        for candidate, timed in zip(others, programs, strict=True):
            form = "; ".join(timed.rewritten) or "its initial values are arguments, and are not filled in"
            what = f"it is exported in another form ({form}), which was not measured"
            candidate.nanoseconds = None
            candidate.reasons.append(Reason(UNMEASURED, f"{what}: export without --no-measure"))
        return
    contexts = Contexts()
    outcomes = given.measure([_job(timed, contexts) for timed in programs])
    for candidate, outcome in zip(others, outcomes, strict=True):
        if isinstance(outcome, Failure):
            candidate.nanoseconds = None
            reason = f"measuring it in the exported form failed at the stage {outcome.stage}: {outcome.reason}"
            candidate.reasons.append(Reason(UNMEASURED, reason))
        else:
            candidate.nanoseconds = round(outcome.median_ns)


def _job(timed: TimedProgram, contexts: Contexts) -> Job:
    types = function_types(timed.measurable, contexts.next(), memrefs=True)
    arguments, results = ([Operand("", shape, dtype) for dtype, shape in each] for each in types)
    return job_without_reference(
        timed.measurable, signature("input", arguments), signature("output", results), "parse", measure=True
    )
