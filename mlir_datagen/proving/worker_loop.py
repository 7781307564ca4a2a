"""What a worker process does: it takes jobs from its connection, one after another, and answers each."""

from __future__ import annotations

import os
import pickle
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mlir_datagen.errors import Rejection, UserError, is_about_memory
from mlir_datagen.proving.sandbox import limit_memory, limit_processor_time
from mlir_datagen.proving.settings import SandboxLimits


@dataclass(frozen=True)
class Setup:
    """What a worker gets first.

    Attributes:
        limits: what each job may use.
        start: called with `arguments` before the first job; what it loads does not count for any job.
        arguments: what `start` is given.
        folder: the working folder.
        search_path: where modules are looked for.
    """

    limits: SandboxLimits
    start: Callable[..., object] | None
    arguments: tuple[Any, ...]
    folder: str
    search_path: list[str]


@dataclass(frozen=True)
class Returned:
    """A job's outcome; also what a worker says before it takes jobs, when it has been set up."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """What a job raised: unless it is a `Rejection` or a `UserError`, a fault of this package."""

    error: BaseException


@dataclass(frozen=True)
class OutOfMemory:
    """A job wanted more memory than the process may have."""


Answer = Returned | Raised | OutOfMemory


def serve_jobs(connection: Connection) -> None:
    """Answer jobs, pairs of a function and its argument, until the other end is closed."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        setup: Setup = connection.recv()
        connection.send_bytes(answer_of(lambda: _prepare(setup)))
        # Once, and not for each job anew: what earlier jobs left counts then, so that none gets more here than in a
        # process of its own. One that gets less is done again in such a one.
        limit_memory(setup.limits.memory_bytes)
        while True:
            job = connection.recv_bytes()
            limit_processor_time(setup.limits.seconds)
            connection.send_bytes(answer_of(lambda job=job: _call(job)))  # type: ignore[misc]


def _prepare(setup: Setup) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path[:] = setup.search_path
    os.chdir(setup.folder)
    if setup.start is not None:
        setup.start(*setup.arguments)


def _call(job: bytes) -> Any:
    function, argument = pickle.loads(job)  # noqa: S301, these bytes are ours
    return function(argument)


def answer_of(work: Callable[[], Any]) -> bytes:
    """Do some work, and return the pickled `Answer`."""
    try:
        return pickle.dumps(Returned(work()), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps(OutOfMemory())
    except (Rejection, UserError) as error:
        return pickle.dumps(Raised(error))
    except BaseException as error:
        if isinstance(error, RuntimeError) and is_about_memory(error):
            # What PyTorch raises, in which references are computed.
            return pickle.dumps(OutOfMemory())
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return pickle.dumps(Raised(_picklable(error)))


def _picklable(error: BaseException) -> BaseException:
    """Return the error, or, where it does not survive the way to another process, its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301, these bytes are ours
    except Exception:
        return RuntimeError("\n".join([repr(error), *error.__notes__]))
    return error
