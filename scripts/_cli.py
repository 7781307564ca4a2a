"""What the scripts share: exit codes, errors as one paragraph, and how a run is stopped.

The scripts import it before all else: from then on Ctrl-C ends them without a traceback, also while they import.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

BAD_INPUT = 2

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what batch systems send, and what a closed terminal does."""

_SECONDS_TO_CLEAN_UP = 10
_NOTHING_LEFT = "Stopped; nothing was left behind. The same command starts again."


def run(main: Callable[[], None], when_stopped: str = _NOTHING_LEFT) -> int:
    """Run a script's main function; return its exit code.

    Args:
        main: the function.
        when_stopped: what is said when a signal stops it.
    """
    from mlir_datagen.config.compose import CONFIG_ERRORS, explain
    from mlir_datagen.errors import UserError

    # Hydra then raises, instead of printing its own message and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with _stopped_by_an_exception():
            main()
    except UserError as error:
        return _refuse(error)
    except CONFIG_ERRORS as error:
        return _refuse(explain(error))
    except KeyboardInterrupt as interrupt:
        return stopped(interrupt, when_stopped)
    except BrokenPipeError:
        # The reader of our output has gone; a second failure while Python flushes it would only be noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def stopped(interrupt: KeyboardInterrupt, message: str) -> int:
    """Say that a signal stopped the run; return the exit code that goes with the signal."""
    # The terminal may be gone.
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)
    number: int = interrupt.args[0] if interrupt.args else signal.SIGINT
    return 128 + number


def _refuse(error: ValueError) -> int:
    import textwrap

    # Long words, such as paths and commands, must stay whole to be copied.
    print(textwrap.fill(f"Error: {error}", width=100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return BAD_INPUT


@contextmanager
def _stopped_by_an_exception() -> Iterator[None]:
    """Have signals raise KeyboardInterrupt, so that all that it passes on its way cleans up."""
    before = _handle(_interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            # What is left to do then is to end.
            signal.signal(number, signal.SIG_IGN if handler is _end_at_once else handler)


_interrupted_at = float("-inf")


def _interrupt(number: int, _: FrameType | None) -> None:
    global _interrupted_at
    # Not only once: Python drops what is raised where nothing can catch it, as while an object is deleted.
    if time.monotonic() > _interrupted_at + _SECONDS_TO_CLEAN_UP:
        _interrupted_at = time.monotonic()
        raise KeyboardInterrupt(number)


def _end_at_once(number: int, _: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, f"{_NOTHING_LEFT}\n".encode())
    os._exit(128 + number)


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, signal._HANDLER]:
    """Set the handler of the signals that stop a run, and return those before.

    What is ignored stays so: SIGHUP with nohup, and SIGINT in the background of a shell script.
    """
    caught = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in caught}


_handle(_end_at_once)
