"""Finding the processes that a run has started, whatever has become of their parents."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_MARK = "MLIR_DATAGEN_RUN"


class Processes:
    """The processes of one run: all that have its mark in their environment.

    Attributes:
        environment: what the run must be started with.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self.environment = {**environment, name: value}

    def alive(self) -> set[int]:
        """Return the ids of all of them that have not ended."""
        return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and self._has(path)}

    def workers(self) -> set[int]:
        """Return the ids of the worker processes."""
        return {pid for pid, leads in self._forked().items() if not leads}

    def fork_servers(self) -> set[int]:
        """Return the ids of the processes that workers are forked from."""
        return {pid for pid, leads in self._forked().items() if leads}

    def end_within(self, seconds: float) -> bool:
        """Wait until all of them have ended; tell whether they did in time."""
        until = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """End those that are left."""
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _forked(self) -> dict[int, bool]:
        """Return fork servers and workers, and which of them lead a session: the fork servers."""
        found = {}
        for pid in self.alive():
            with suppress(OSError):
                if b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found[pid] = os.getsid(pid) == pid
        return found

    def _has(self, process: Path) -> bool:
        # It may end at any time, and those of others cannot be read. What has ended has no environment.
        with suppress(OSError):
            return self._mark.encode() in (process / "environ").read_bytes().split(b"\0")
        return False
