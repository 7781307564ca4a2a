"""Having PyTorch compute in somebody else's process: without what it says to its own developers, forked or not."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch
from tqdm import tqdm

_quiet = threading.RLock()
"""Threads have one standard error, which they would not leave to each other as it was."""
_is_forked = multiprocessing.parent_process() is not None
"""Whether this process may have been forked from one in which PyTorch was at work."""


def _after_fork() -> None:
    """Replace the lock, which another thread may have had."""
    global _quiet, _is_forked
    _quiet, _is_forked = threading.RLock(), True


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def working_threads() -> Iterator[None]:
    """Have PyTorch use one thread in a process that may have been forked.

    A fork leaves the others of its pool behind, and PyTorch would wait for them for ever.
    """
    threads = torch.get_num_threads()
    if _is_forked:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if _is_forked:
            torch.set_num_threads(threads)


@contextmanager
def quiet() -> Iterator[None]:
    """Have PyTorch compute, and say nothing. One thread of a process at a time."""
    with _quiet:
        disabled = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            # It prints the graph so far of a capture that fails.
            with torch.no_grad(), warnings.catch_warnings(), redirect_stderr(io.StringIO()), _bars_without_semaphores():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(disabled)


@contextmanager
def _bars_without_semaphores() -> Iterator[None]:
    """Have PyTorch's progress bars, which it does not show, not make a semaphore of the system.

    With the start method `spawn`, it would come with a process that outlives ours, and warns of it if that is killed.
    """
    if "_lock" in vars(tqdm):
        yield
        return
    tqdm.set_lock(threading.RLock())
    # A thread that looks after bars would ask for the lock later on.
    monitor_interval, tqdm.monitor_interval = tqdm.monitor_interval, 0
    try:
        yield
    finally:
        tqdm.monitor_interval = monitor_interval
        # Who shows bars in several processes shall have the lock that works between them.
        del tqdm._lock  # type: ignore[attr-defined]
