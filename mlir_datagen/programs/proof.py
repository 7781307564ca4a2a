"""What is proven of a program, or why it is not."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("emitted", "verified", "unique", "unseen", "lowered", "executed", "matched", "measured")
"""What a program passes, in this order, as far as a run goes; a rejection names the one that it failed."""

LEVELS = ("parse", "lower", "execute")
"""How far programs are checked; each level includes the one before it."""

LEVEL_STAGES = {"parse": 0, "lower": 1, "execute": 3}
"""How many stages each level adds to parsing: `lowered`; `executed` and `matched`."""


@dataclass(frozen=True)
class Measurement:
    """The time of one call of a program, in nanoseconds.

    Attributes:
        median_ns, min_ns, iqr_ns: of the runs; the last is the interquartile range. Wall time of undisturbed runs;
            where there is none, processor time.
        runs: how many runs these are of.
        set_aside: how many further ones were disturbed: something else had the core meanwhile.
        calls_per_run: how many calls in a row a run times; its time is divided by them.
        cpu_ns: the median of the processor time that the thread had in these runs, with that of reading the clocks.
        disturbed: whether too few runs were undisturbed, or the machine was slower than it can be.
        compile_ns: processor time of lowering and compiling; others may be compiling on the same core.
        machine: the id of the `Machine` that it was taken on.
    """

    median_ns: float
    min_ns: float
    iqr_ns: float
    runs: int
    set_aside: int
    calls_per_run: int
    cpu_ns: float
    disturbed: bool
    compile_ns: int
    machine: str


@dataclass(frozen=True)
class Proof:
    """A program that passed.

    Attributes:
        level: how far it was checked.
        error: the largest error relative to the largest reference value, rounded to three digits; None if not compared.
        measurement: its time, if it was measured.
        busy: begin and end of compiling and of running it, on the monotonic clock in nanoseconds.
        absolute_error: the largest error itself.
        excused: how many elements of its results hang on a rounding and were left out; None if not compared.
        unshown: what does not show in what was compared, so that a fault there would not have been found; None where
            that was not looked for: a single op, all of whose arguments show.
    """

    level: str
    error: float | None
    measurement: Measurement | None
    busy: tuple[tuple[int, int], ...]
    absolute_error: float | None = None
    excused: int | None = None
    unshown: tuple[str, ...] | None = None

    @property
    def proven(self) -> str | None:
        """What is proven: `parsed`, `lowered`, `executed`, or `matched`; None where no parser has seen the program."""
        if self.level != "execute":
            return {"parse": "parsed", "lower": "lowered"}.get(self.level)
        return "executed" if self.error is None or self.unshown else "matched"


@dataclass(frozen=True)
class Failure:
    """A program that did not pass: the stage, and the reason on one line."""

    stage: str
    reason: str


PARSED = Proof("parse", None, None, ())
"""What is known of a program that passed the parser and the verifier, and nothing more."""
