"""Keeping what PyTorch says to its own developers from the user."""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch
from tqdm import tqdm

_quiet = threading.RLock()
"""Threads have one standard error, which they would not leave to each other as it was."""


def _renew_lock() -> None:
    """Replace the lock in a process that was forked, maybe while another thread had it."""
    global _quiet
    _quiet = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


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
