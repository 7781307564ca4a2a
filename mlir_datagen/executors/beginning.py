"""Starting what worker processes are forked from, as soon as it is known that there is much to do."""

from __future__ import annotations

from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.settings import available_cores

FEWEST_PROGRAMS = 4096
"""Fewer are made before worker processes have started."""

_NEEDED = "mlir_datagen.sources.random_ops"
"""The module of what they do, which brings all else that they need."""


def begin_workers() -> None:
    """Have imported what worker processes need, in the process that they are forked from, while this one goes on."""
    SERVER.load([_NEEDED])


def begin_early(programs: int) -> None:
    """Begin worker processes before a run's config is composed, where it makes programs enough to use them.

    Composing takes this process about as long as the imports take the other; with one core, nothing would be won.
    """
    if programs >= FEWEST_PROGRAMS and len(available_cores()) > 1:
        begin_workers()
