"""Worker processes that may crash, hang or eat memory: limits within them, and what their end means outside."""

from __future__ import annotations

import math
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from mlir_datagen.proving.settings import SandboxLimits

FAULTS = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
        signal.SIGABRT,
    }
)
"""What ends a process that does what it must not."""

_TICK_SECONDS = 0.25

_MEANINGS: dict[int, str] = {
    signal.SIGXCPU: "it ran for longer than {key}seconds, {seconds} s of processor time",
    signal.SIGKILL: "its process was killed (SIGKILL), as by the system when memory runs out, or by somebody",
}


def limit_processor_time(seconds: int) -> None:
    """End this process by a signal when it has used so much more processor time.

    Time spent waiting for the measuring core does not count.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def has_answered(
    connection: Connection, process: int, idle_seconds: float, on_tick: Callable[[], object] = lambda: None
) -> bool:
    """Wait until a process answers or ends; return False when it uses no processor time for too long.

    Args:
        connection: where the answer comes from, or the end.
        process: its number.
        idle_seconds: how long it may use no processor time. That a signal has stopped it does not count.
        on_tick: called several times a second; what it raises ends the waiting.
    """
    idle, before = 0.0, None
    while not connection.poll(_TICK_SECONDS):
        on_tick()
        now = processor_ticks(process)
        idle = idle + _TICK_SECONDS if now is not None and now == before else 0
        before = now
        if idle >= idle_seconds:
            return False
    return True


def processor_ticks(process: int) -> int | None:
    """Return the processor time that a process has used, in ticks of the system's clock.

    None where that is not known, or a signal has stopped the process. See proc_pid_stat(5).
    """
    try:
        # After the name of the program, in parentheses, which may hold anything.
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "Tt" else int(fields[10]) + int(fields[11])


def limit_memory(extra: int) -> None:
    """Let this process have so much more memory than it has now, where the system tells how much that is."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    data = int(statm.read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data + extra, hard))


def too_much_memory(key: str, limits: SandboxLimits) -> str:
    """Say that the limit on memory was met; `key` names the part of the config that has it, if one does."""
    return f"it needs more memory than {_prefix(key)}memory_bytes, {limits.memory_bytes}"


def let_own_faults_alone_end_this_process() -> None:
    """Have Ctrl-C, and signals of faults that another process sends, do nothing to this process and its children.

    A fault that the kernel finds ends a process also where its signal is blocked, and `abort` unblocks its own; a
    signal that is sent stays pending (sigprocmask(2)). So a process that one of these has ended did that itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, FAULTS)


def is_own_doing(exit_code: int, seconds: float, limits: SandboxLimits) -> bool:
    """Tell whether a process ended by what it did, and not by a signal from outside.

    Args:
        exit_code: as in `subprocess`.
        seconds: the processor time that it used.
        limits: those that it had; batch systems send the signal of the limit on processor time, too.
    """
    if exit_code == -signal.SIGXCPU:
        return seconds >= limits.seconds
    return exit_code >= 0 or -exit_code in FAULTS


def why_ended(exit_code: int, key: str, limits: SandboxLimits) -> str:
    """Say why a worker process ended, from its exit code; `key` names the part of the config that has its limits."""
    if exit_code >= 0:
        return f"it ended its process with exit code {exit_code}"
    meaning = _MEANINGS.get(-exit_code, f"it crashed its process ({signal_name(-exit_code)})")
    return meaning.format(key=_prefix(key), seconds=limits.seconds)


def _prefix(key: str) -> str:
    return f"{key}." if key else ""


def signal_name(number: int) -> str:
    """Return the name of a signal, or its number where it has none."""
    return {each.value: each.name for each in signal.Signals}.get(number, f"signal {number}")
