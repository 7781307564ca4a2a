"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

from mlir_datagen.dataset.disk_errors import writable
from mlir_datagen.dataset.durable import flush
from mlir_datagen.dataset.locks import lock, unlock


class Staging:
    """A folder beside the final one, locked by this process, that gets the final name when it is complete.

    Entering it makes the folder, empty, and locks it, after waiting for another process that writes the same one.
    Leaving it removes what was not published. The lock is on the folder itself: it ends with the process, however
    that ends, and what a killed process leaves is cleared by the next.

    Args:
        final: the name it will have.
        on_wait: called when another process has it.
        path: where it is until then, on the same disk; left out, a hidden folder beside the final one.
        guard: turns what the operating system says about a place into a message for people.

    Raises:
        UserError: on entering, when the folder cannot be made.
    """

    def __init__(
        self,
        final: Path,
        on_wait: Callable[[], object] = lambda: None,
        path: Path | None = None,
        guard: Callable[[Path], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.final = final
        self.path = path or final.with_name(f".{final.name}.partial")
        self.guard = guard or writable
        self._on_wait = on_wait
        self._lock = -1
        self._made_parents: list[Path] = []

    def publish(self) -> None:
        """Give the folder its final name, in one step."""
        with self.guard(self.final):
            self.path.rename(self.final)
            flush(self.final.parent)

    def __enter__(self) -> Self:
        while not self._try_lock():
            unlock(self._lock)
        for left_over in self.path.iterdir():
            if left_over.is_dir() and not left_over.is_symlink():
                shutil.rmtree(left_over)
            else:
                left_over.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_locked():
            shutil.rmtree(self.path)
        unlock(self._lock)
        for parent in self._made_parents:
            # What holds something now stays: what was published, or somebody else's.
            with suppress(OSError):
                parent.rmdir()

    def _try_lock(self) -> bool:
        with self.guard(self.path.parent):
            missing = [parent for parent in self.path.parents if not parent.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._made_parents += missing
            # A link would have what it leads to cleared.
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            lock(self._lock)
        except BlockingIOError:
            self._on_wait()
            lock(self._lock, wait=True)
        return self._is_locked()

    def _is_locked(self) -> bool:
        """Tell whether the path still is the folder that was locked, or that was published or removed meanwhile."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._lock))
        except FileNotFoundError:
            return False
