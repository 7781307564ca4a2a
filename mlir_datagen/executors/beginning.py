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
    """Do so for a run that is known to make so many programs, and no more than that.

    Here, importing and composing its config takes as long as that; with one core, nothing would be won.
    """
    if programs >= FEWEST_PROGRAMS and len(available_cores()) > 1:
        begin_workers()
