"""Jobs for worker processes, which find them by their names."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

_left: list[bytearray] = []


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def note(folder: Path) -> int:
    """Note that a process has begun with a job; return how many have, with this one."""
    (folder / f"{time.monotonic_ns()}.{os.getpid()}").touch()
    return len(list(folder.iterdir()))


def pids(folder: Path) -> list[int]:
    """Return the processes that have begun with a job, in order."""
    return [int(path.suffix[1:]) for path in sorted(folder.iterdir())]


def double(number):
    return 2 * number


def wait_for_ever(folder):
    note(folder)
    # As compiled code that does not let other threads of Python run.
    ctypes.PyDLL(None).sleep(1000)


def wait_the_first_times(job):
    folder, times = job
    if note(folder) <= times:
        time.sleep(1000)
    return "done"


def wait_for_file(job):
    folder, file = job
    note(folder)
    while not file.exists():
        time.sleep(0.02)
    return "done"


def end_process(job):
    folder, how = job
    note(folder)
    {
        "read nothing": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "exit": lambda: os._exit(3),
        "use the processor": _use_the_processor,
        "sleep": lambda: time.sleep(1000),
        "fault once": lambda: ctypes.string_at(0) if len(pids(folder)) == 1 else None,
    }[how]()
    return "done"


def _use_the_processor():
    while True:
        pass


def signal_itself(job):
    folder, number, times = job
    if note(folder) <= times:
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_BLOCK, set())  # so that what is not blocked arrives before it goes on
    return "done"


def use_memory(job):
    """Have so many bytes, and leave so many."""
    folder, used, left = job
    note(folder)
    bytearray(used)
    _left.append(bytearray(left))
    return "done"


def fail(how):
    if how == "plain":
        raise KeyError("not there")
    raise Unpicklable(1, 2)


def call(job):
    function, argument = job
    return function(argument)
