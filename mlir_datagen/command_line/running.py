"""What the subcommands share: exit codes, errors as one paragraph, and how a run is stopped."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

BAD_INPUT = 2

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what batch systems send, and what a closed terminal does."""

_SECONDS_TO_CLEAN_UP = 10
_SECONDS_TO_LOAD = 1.0
_NOTHING_LEFT = "Stopped; nothing was left behind. The same command starts again."


def run(main: Callable[[], object]) -> int:
    """Run what was typed; return the exit code.

    Args:
        main: does it.
    """
    from mlir_datagen.errors import UserError

    # Hydra then raises, instead of printing its own message and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with _stopped_by_an_exception():
            _open_output()
            _require_working_folder()
            try:
                main()
            except SystemExit:
                # As after --help: later, nobody would catch what goes wrong.
                _flush()
                raise
            _flush()
    except UserError as error:
        return _refuse(error)
    except KeyboardInterrupt as interrupt:
        return stopped(interrupt, _NOTHING_LEFT)
    except BrokenPipeError:
        # The reader of our output has gone.
        _drop_output()
        return 1
    except OutputError as error:
        _drop_output()
        return _refuse(
            UserError(
                f"Standard output cannot be written: {error.strerror}. Only what was to be printed is lost; all else "
                "is done. Print it elsewhere, and type the same command again: what it has made it finds."
            )
        )
    except Exception as error:
        if (explained := _explained(error)) is None:
            raise
        return _refuse(explained)
    return 0


def leave(code: int) -> NoReturn:
    """End this process, after its threads, and all that is registered for its end, in Python's order.

    Python itself would take apart all that was imported first, which takes a fifth of a second, and in which threads of
    libraries abort the process now and then.
    """
    if sys.getprofile() or sys.gettrace():
        # What has set that writes what it found when Python ends.
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        # It may be closed, or its reader gone: what was to be said of that was said.
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(code)


def _explained(error: Exception) -> ValueError | None:
    """Return what Hydra or OmegaConf has raised as an error for people; None of all else, which is a bug."""
    # It takes half a second, and where it was not imported, nothing of it was raised.
    if "hydra" not in sys.modules:
        return None
    from mlir_datagen.config.compose import CONFIG_ERRORS, explain

    return explain(error) if isinstance(error, CONFIG_ERRORS) else None


@contextmanager
def saying_when_stopped(message: str) -> Iterator[None]:
    """Have a signal that stops what is done here say this, where nothing closer to it says more."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(message)
        raise


@contextmanager
def while_importing() -> Iterator[None]:
    """Have signals end the process at once: libraries do not expect exceptions while they are imported."""
    before = _handle(_end_at_once)
    try:
        with _saying_that_it_loads():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _saying_that_it_loads() -> Iterator[None]:
    """Say on a terminal that libraries are loaded, where that takes long, as from a cold disk."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield
        return
    text = "loading libraries …"
    said = threading.Event()

    def write(words: str) -> None:
        # The terminal may be gone.
        with suppress(OSError):
            stream.write(words)
            stream.flush()

    def say() -> None:
        said.set()
        write(text)

    timer = threading.Timer(_SECONDS_TO_LOAD, say)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said.is_set():
            write(f"\r{' ' * len(text)}\r")


def stopped(interrupt: KeyboardInterrupt, message: str) -> int:
    """Say that a signal stopped the run; return the exit code that goes with the signal.

    Args:
        interrupt: what the signal raised, and what was noted on its way of what is kept.
        message: what is said where nothing is.
    """
    from mlir_datagen.command_line.typed import as_typed

    message = as_typed(next(iter(getattr(interrupt, "__notes__", ())), message))
    # The terminal may be gone.
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)
    number: int = interrupt.args[0] if interrupt.args else signal.SIGINT
    return 128 + number


class OutputError(OSError):
    """Standard output cannot be written."""


class _Output(io.FileIO):
    """Standard output, whose failures are told from those of other files."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


def _open_output() -> None:
    """Have failures to print told from others, and paths printed that are not of the locale's letters."""
    output = sys.__stdout__
    if output is not None and sys.stdout is output:
        raw = io.BufferedWriter(_Output(output.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, output.encoding, "surrogateescape", line_buffering=output.isatty())


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_output() -> None:
    """Print nothing more: a second failure while Python flushes what is left would only be noise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_working_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        from mlir_datagen.errors import UserError

        raise UserError(
            "The working folder is gone: it was deleted or replaced. Change to one that is there (cd …), and type the "
            "same command again."
        ) from None


def _refuse(error: ValueError) -> int:
    import textwrap

    from mlir_datagen.command_line.typed import as_typed

    # Long words, such as paths and commands, must stay whole to be copied.
    message = as_typed(f"Error: {error}")
    print(textwrap.fill(message, width=100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
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


def end_at_once() -> None:
    """Have signals end the process at once, as long as there is nothing to clean up."""
    _handle(_end_at_once)
