"""A network's program in a process of its own, which may crash, hang or eat memory without taking this one down.

The process is a plain child, started anew: it works on threads, in notebooks, in daemonic and in forked processes and
in scripts without a main guard, needs no semaphores, and imports no PyTorch. Text and small values go through a socket,
arrays through files that are mapped into memory.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.signature import Outline
from mlir_datagen.proving.sandbox import has_answered, limit_memory, limit_processor_time, too_much_memory, why_ended
from mlir_datagen.proving.settings import SandboxLimits
from mlir_datagen.proving.worker_loop import Answer, OutOfMemory, Raised, answer_of

if TYPE_CHECKING:
    from mlir_datagen.mlir.torch_lowering import Linalg

_IDLE_SECONDS = 300
"""A process that has used no processor time for so long, and so escapes the limit on it, is ended."""
_OUT_OF_MEMORY = ("out of memory", "bad_alloc")
"""What LLVM and the C++ library print before they abort for want of memory."""
_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl.h."""


class _Stored(NamedTuple):
    """An array in a file, which has but the bits: numpy's format does not know every element type."""

    path: str
    dtype: np.dtype[Any]


class IsolatedProgram:
    """Does what `NetworkProgram` does, in a process of its own. Use it as a context.

    Args:
        limits: the processor time and the memory that everything together may take.
        on_tick: called several times a second while the process works.

    Raises:
        Rejection: by each method, also when the process crashes or goes beyond a limit, at the stage that it was in.
        UserError: when no process can be started.
    """

    def __init__(self, limits: SandboxLimits, on_tick: Callable[[], object] = lambda: None) -> None:
        self._limits = limits
        self._on_tick = on_tick

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder())
            self._start()
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lower_torch(self, text: str, first: int, constants: Mapping[int, NDArray[Any]]) -> Linalg:
        """See `NetworkProgram`."""
        lowered: Linalg = self._ask("emitted", "lower_torch", text, first, dict(constants))
        return lowered

    def verify(self, text: str) -> Outline:
        """See `NetworkProgram`."""
        outline: Outline = self._ask("verified", "verify", text)
        return outline

    def lower(self) -> None:
        """See `NetworkProgram`."""
        self._ask("lowered", "lower")

    def run(
        self, arguments: Sequence[NDArray[Any]], results: Sequence[tuple[str, tuple[int, ...]]]
    ) -> list[NDArray[Any]]:
        """See `NetworkProgram`."""
        made: list[NDArray[Any]] = self._ask("executed", "run", list(arguments), list(results))
        return made

    def _start(self) -> None:
        self._connection, other = Pipe()
        self._errors = self._folder / "stderr"
        # The path of this process, which may have been changed since it started.
        path = [entry for entry in sys.path if isinstance(entry, str)]
        code = f"import sys; sys.path[:] = {path}; from {__name__} import serve; serve({other.fileno()}, {os.getpid()})"
        try:
            with other, self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    [sys.executable or "", "-c", code],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(other.fileno(),),
                    # So that Ctrl-C is for this process alone, which ends the other.
                    start_new_session=True,
                )
        except OSError as error:
            self._connection.close()
            raise UserError(
                f"No process can be started to convert the network in ({error}): it would run {sys.executable!r}."
            ) from error
        try:
            self._receive("emitted")
            self._connection.send((self._limits, str(self._folder)))
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, stage: str, method: str, *arguments: Any) -> Any:
        stored = [_stored(one, self._folder) for one in arguments]
        try:
            self._connection.send((method, stored))
        except OSError:
            self._explain_end(stage)
        return _loaded(self._receive(stage))

    def _receive(self, stage: str) -> Any:
        try:
            if not has_answered(self._connection, self._process.pid, _IDLE_SECONDS, self._on_tick):
                raise Rejection(stage, f"it used no processor time for {_IDLE_SECONDS} s")
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            self._explain_end(stage)
        if isinstance(answer, OutOfMemory):
            raise Rejection(stage, too_much_memory("", self._limits))
        if isinstance(answer, Raised):
            raise answer.error
        return answer.value

    def _explain_end(self, stage: str) -> NoReturn:
        """Say why the process has ended."""
        code = self._process.wait()
        said = self._errors.read_text(errors="replace")
        if code == -signal.SIGABRT and any(sign in said for sign in _OUT_OF_MEMORY):
            raise Rejection(stage, too_much_memory("", self._limits))
        if code >= 0:
            raise RuntimeError(f"The process that converts networks ended with exit code {code}:\n{said}")
        converter = "torch-mlir: " if stage == "emitted" else ""
        raise Rejection(stage, converter + why_ended(code, "", self._limits))


def serve(descriptor: int, parent: int) -> None:
    """Do what the process asks for that started this one, until it goes away: what this one runs.

    Args:
        descriptor: of the socket.
        parent: the number of that process.
    """
    _end_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = Connection(descriptor)
    # Only here, so that the process that asks need not import it.
    from mlir_datagen.networks.network_program import NetworkProgram

    connection.send_bytes(answer_of(lambda: None))
    try:
        limits, folder = connection.recv()
        limit_processor_time(limits.seconds)
        limit_memory(limits.memory_bytes)
        program = NetworkProgram()
        while True:
            method, arguments = connection.recv()
            connection.send_bytes(answer_of(partial(_call, getattr(program, method), arguments, Path(folder))))
    except EOFError:
        return


def _call(method: Callable[..., Any], arguments: Sequence[Any], folder: Path) -> Any:
    return _stored(method(*map(_loaded, arguments)), folder)


def _end_with_parent(parent: int) -> None:
    """Have the system end this process when the one that started it ends, where the system can."""
    if sys.platform == "linux":
        # A thread of this process could not, while a pass holds Python's lock.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def _stored(value: Any, folder: Path) -> Any:
    """Return a value with each array in it written to a file.

    Raises:
        UserError: when there is no room for it.
    """
    if isinstance(value, np.ndarray):
        path = folder / f"{len(os.listdir(folder))}.npy"
        try:
            np.save(path, value.view(f"V{value.itemsize}"))
        except OSError as error:
            raise UserError(
                f"The temporary folder {folder.parent} cannot hold the network's tensors ({error}). Choose another: "
                "TMPDIR=…"
            ) from error
        return _Stored(str(path), value.dtype)
    if isinstance(value, dict):
        return {key: _stored(one, folder) for key, one in value.items()}
    return [_stored(one, folder) for one in value] if type(value) is list else value


def _loaded(value: Any) -> Any:
    """Return a value with the arrays that `_stored` wrote, mapped into memory."""
    if isinstance(value, _Stored):
        return np.asarray(np.load(value.path, mmap_mode="r")).view(value.dtype)
    if isinstance(value, dict):
        return {key: _loaded(one) for key, one in value.items()}
    return [_loaded(one) for one in value] if type(value) is list else value
