"""Locks that end with the process which has them: processes that are forked from it have no part in them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_HELD: set[int] = set()


def lock(descriptor: int, wait: bool = False) -> None:
    """Lock the file or folder of a descriptor until that is unlocked.

    Args:
        descriptor: of the file or folder.
        wait: whether to wait for another process that has it.

    Raises:
        BlockingIOError: when another process has it, and it is not waited for.
    """
    # First, as another thread may fork meanwhile.
    _HELD.add(descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def unlock(descriptor: int) -> None:
    """Close a descriptor, and with it end the lock, if it has one."""
    _HELD.discard(descriptor)
    os.close(descriptor)


@contextmanager
def locked(folder: Path, on_wait: Callable[[], object]) -> Iterator[None]:
    """Have the lock of a folder, after waiting for another process that has it.

    Args:
        folder: the folder.
        on_wait: called when another process has it.

    Raises:
        OSError: when it is no folder that can be read.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            lock(descriptor)
        except BlockingIOError:
            on_wait()
            lock(descriptor, wait=True)
        yield
    finally:
        unlock(descriptor)


def _leave_to_parent() -> None:
    """Close what was locked: workers of a killed process may live on, and would keep others waiting for ever."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
