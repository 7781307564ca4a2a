"""How much of a run's wall time its workers compile or run programs: what labelling cannot do without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving.job import Job
from mlir_datagen.proving.prover import Prover

Span = tuple[int, int]
"""Begin and end, in nanoseconds of the monotonic clock."""


def union_ns(spans: Iterable[Span]) -> int:
    """Return how long at least one of the spans lasted."""
    total, reached = 0, 0
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total


@contextmanager
def recorded_spans() -> Iterator[list[Span]]:
    """Record when workers compile or run programs; give the list that the spans go to."""
    spans: list[Span] = []
    prove = Prover.prove

    def recorded(prover: Prover, jobs: Iterable[Job]) -> Iterator[Proof | Failure]:
        for outcome in prove(prover, jobs):
            if isinstance(outcome, Proof):
                spans.extend(outcome.busy)
            yield outcome

    with mock.patch.object(Prover, "prove", recorded):
        yield spans
