"""Telling on a terminal how far a long call has come; nothing is written anywhere else."""

from __future__ import annotations

import sys
import threading
from typing import Self

from tqdm import tqdm


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar of one process, which needs no semaphore of the system, and no thread."""

    _lock = threading.RLock()
    monitor_interval = 0


class StageLine:
    """A line on standard error that names what is being done now, and for how long that has been. Use it as a context.

    Args:
        name: what is worked on.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Notebooks and others may have none.
        is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._bar = _Bar(bar_format="{desc} [{elapsed}]", leave=False, dynamic_ncols=True) if is_shown else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def enter(self, stage: str) -> None:
        """Show another stage, and count from there on."""
        if self._bar is not None:
            self._bar.set_description_str(f"{self._name}: {stage}", refresh=False)
            self._bar.reset()

    def tick(self) -> None:
        """Show how much time has passed."""
        if self._bar is not None:
            self._bar.refresh()

    def say(self, line: str) -> None:
        """Print a line above, which stays."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
