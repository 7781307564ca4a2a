"""A worker process, as seen from the process that has jobs for it."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import wait
from struct import Struct
from typing import Any

from mlir_datagen.proving.fork_server import PID, SERVER, STATUS
from mlir_datagen.proving.sandbox import has_answered, processor_ticks
from mlir_datagen.proving.worker_loop import Answer

_CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ended:
    """What is known of a worker that ended instead of giving an answer.

    Attributes:
        exit_code: as in `subprocess`; None when nobody could tell, since the fork server had died.
        seconds: the processor time that it used for what it was asked.
        was_idle: whether it was ended here, since it used none for too long.
    """

    exit_code: int | None
    seconds: float
    was_idle: bool


class WorkerProcess:
    """A worker that is being forked. Nothing waits for that before it is asked for something.

    Args:
        idle_seconds: how long it may use no processor time for what it is asked.
        stopped: set when answers are not wanted any more.
    """

    def __init__(self, idle_seconds: int, stopped: threading.Event) -> None:
        self._idle_seconds = idle_seconds
        self._stopped = stopped
        self._pid: int | None = None
        self._has_ended = False
        self._was_idle = False
        self._connection, connection = Pipe()
        self._status, status = os.pipe()
        SERVER.fork(connection.fileno(), status)
        connection.close()
        os.close(status)

    def ask(self, message: bytes) -> Answer | Ended:
        """Send a message, and wait for the answer."""
        used = 0
        try:
            if self._pid is None:
                (self._pid,) = self._read_status(PID)
            used = processor_ticks(self._pid) or 0
            self._connection.send_bytes(message)
            if not has_answered(self._connection, self._pid, self._idle_seconds, self._go_on):
                self._was_idle = True
                self.kill()
            answer = self._connection.recv_bytes()
        except (EOFError, OSError):
            return self._ended(used / _CLOCK_TICKS_PER_SECOND)
        read: Answer = pickle.loads(answer)  # noqa: S301, from a process of ours
        return read

    def kill(self) -> None:
        """Kill it, whatever it is at; from any thread."""
        if self._pid is not None and not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, wait for its end, and forget it."""
        self.kill()
        if not self._has_ended:
            with suppress(EOFError):
                self._read_status(STATUS)
        self._connection.close()
        os.close(self._status)

    def _ended(self, used: float) -> Ended:
        exit_code, seconds = None, used
        try:
            exit_code, seconds = self._read_status(STATUS)
        except EOFError:
            # The fork server has died, and the worker perhaps not.
            self.kill()
        self._has_ended = True
        return Ended(exit_code, seconds - used, self._was_idle)

    def _go_on(self) -> None:
        """End the waiting when answers are not wanted any more."""
        if self._stopped.is_set():
            raise EOFError

    def _read_status(self, what: Struct) -> tuple[Any, ...]:
        while not wait([self._status], 0.1):
            self._go_on()
        read = os.read(self._status, what.size)
        if not read:
            raise EOFError
        return what.unpack(read)
