"""How often Python looks for objects that only refer to each other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 1_000_000
"""How many objects are made before it looks. A program of five operations is hundreds, of which none refers to another
in a circle; with Python's own 700, looking through all that is kept took a third of a run."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Have it look rarely for the time being."""
    before = gc.get_threshold()
    # Whoever has turned it off, with 0, has a reason.
    gc.set_threshold(max(_OBJECTS, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
