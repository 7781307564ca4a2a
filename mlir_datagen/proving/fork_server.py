"""The process that workers are forked from: it has imported what they need, and no threads of ours.

That of multiprocessing will not do: its socket is a file, whose path may be too long; its workers import the main
module of the program; and nothing ends them when that is killed.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NoReturn

from mlir_datagen.proving.sandbox import let_own_faults_alone_end_this_process
from mlir_datagen.proving.worker_loop import serve_jobs

PID = struct.Struct("q")
"""What the server writes into a worker's status pipe first: its process id."""

STATUS = struct.Struct("qd")
"""What it writes when the worker has ended: the exit code, as in `subprocess`, and the processor time in seconds."""

_CODE = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mlir_datagen.proving.fork_server import serve; serve(int(sys.argv[2]), int(sys.argv[3])); os._exit(0)"
)
"""It ends by `os._exit`, as `ForkServer` waits for it, and Python would take apart what it has imported."""
_FORK: Sequence[str] = ()
"""The request to fork; others are lists of modules to import."""
_MOST_BYTES = 1 << 16
_SECONDS_TO_END = 0.5


class ForkServer:
    """The fork server of this process, started when it is needed, and started again when it has died.

    It and all that is forked from it are a process group of their own, which Ctrl-C on a terminal does not reach, and
    which the kernel kills as soon as this process is gone, however it ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._modules: dict[str, None] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        # Workers outlive a fork server that dies, so that its lifeline must, too.
        self._lifelines: list[int] = []
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def load(self, modules: Sequence[str]) -> None:
        """Have modules imported there, while this process goes on."""
        with self._lock:
            new = [module for module in dict.fromkeys(modules) if module not in self._modules]
            self._modules.update(dict.fromkeys(new))
            if new and not self._send(new):
                self._start_again()

    def fork(self, connection: int, status: int) -> None:
        """Have a worker forked.

        Args:
            connection: file descriptor of the connection that it takes its jobs from.
            status: file descriptor of a pipe, which gets a `PID` and, when the worker has ended, a `STATUS`. It is
                closed without them when the server dies.
        """
        with self._lock:
            if not self._send(_FORK, (connection, status)):
                self._start_again()
                # Should that one be dead, too, the status pipe says so.
                self._send(_FORK, (connection, status))

    def stop(self) -> None:
        """End it and all that was forked from it."""
        with self._lock:
            self._end()
            for lifeline in self._lifelines:
                os.close(lifeline)
            self._lifelines.clear()
            self._modules.clear()

    def _send(self, modules: Sequence[str], descriptors: Sequence[int] = ()) -> bool:
        """Send a request; tell whether the server was there."""
        if self._control is None:
            return False
        try:
            socket.send_fds(self._control, [json.dumps(modules).encode()], descriptors, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _start_again(self) -> None:
        self._end()
        self._start()
        if self._modules:
            self._send(list(self._modules))

    def _start(self) -> None:
        # Each request is one packet.
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, kept = os.pipe()
        self._lifelines.append(kept)
        arguments = [json.dumps(sys.path), str(control.fileno()), str(lifeline)]
        try:
            with _signals_to_stop_blocked():
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _CODE, *arguments],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(control.fileno(), lifeline),
                    start_new_session=True,
                )
        finally:
            control.close()
            os.close(lifeline)

    def _end(self) -> None:
        """End the server, which kills the workers that it still has."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                # It is importing, or was stopped.
                self._process.kill()
                self._process.wait()
            self._process = None

    def _leave_to_parent(self) -> None:
        """Forget the server of the process that this one was just forked from."""
        self._lock = threading.Lock()
        self._modules = {}
        if self._control is not None:
            self._control.close()
            self._control = None
        for lifeline in self._lifelines:
            os.close(lifeline)
        self._lifelines = []
        if self._process is not None:
            # It is not this process's child, whatever becomes of it.
            self._process.returncode = 0
            self._process = None


@contextmanager
def _signals_to_stop_blocked() -> Iterator[None]:
    """Start a process that no signal can end with a traceback before it says what it does with them."""
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


SERVER = ForkServer()


def serve(control_descriptor: int, lifeline: int) -> None:
    """Be the fork server: import modules and fork workers, as requests say.

    Args:
        control_descriptor: of the socket that requests come from; the server ends when the other end is closed.
        lifeline: of a pipe whose other end lasts as long as the process that this one serves.
    """
    _die_with_the_other_end_of(lifeline)
    let_own_faults_alone_end_this_process()
    control = socket.socket(fileno=control_descriptor)
    woken, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup)
    workers: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        own = (control.fileno(), selector.fileno(), woken, wakeup)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, _MOST_BYTES)
                _report_ended(workers)
            if control.fileno() not in ready:
                continue
            request, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 2)
            if not request:
                break
            if modules := json.loads(request):
                _import(modules)
            else:
                connection, status = descriptors
                _fork(workers, connection, status, (*own, *workers.values()))
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    while workers:
        _report_ended(workers, 0)


def _die_with_the_other_end_of(lifeline: int) -> None:
    """Have the kernel kill this process's group when the pipe's other end is closed.

    It does so whatever the processes are at, and at once: a thread that watches would wait for compiled code which
    does not let it run. See F_SETSIG in fcntl(2).
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        # Nothing is ever written, so that this is the end, which came before the kernel was told.
        os.read(lifeline, 1)
        os._exit(1)


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        # It is imported again where it is used, and says there what is wrong.
        with suppress(Exception):
            importlib.import_module(module)


def _fork(workers: dict[int, int], connection: int, status: int, unused: Sequence[int]) -> None:
    """Fork a worker, which does not return from here; it closes what it has no use for."""
    pid = None
    # Without a worker the status pipe is closed, and that is what it says.
    with suppress(OSError):
        pid = os.fork()
    if pid == 0:
        _be_worker(connection, (status, *unused))
    os.close(connection)
    if pid is None:
        os.close(status)
    else:
        workers[pid] = status
        _tell(status, PID.pack(pid))


def _be_worker(connection: int, unused: Sequence[int]) -> NoReturn:
    """Serve jobs in this process, which was just forked, until there are no more."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in unused:
            os.close(descriptor)
        serve_jobs(Connection(connection))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _report_ended(workers: dict[int, int], flags: int = os.WNOHANG) -> None:
    """Write down how each worker ended that did; with flags of 0, wait for one."""
    while workers:
        pid, status, usage = os.wait4(-1, flags)
        if pid == 0:
            return
        flags = os.WNOHANG
        descriptor = workers.pop(pid, None)
        if descriptor is None:
            # A module that was imported has started it.
            continue
        _tell(descriptor, STATUS.pack(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime))
        os.close(descriptor)


def _tell(status: int, message: bytes) -> None:
    # The other end is closed when nobody wants to know.
    with suppress(BrokenPipeError):
        os.write(status, message)
