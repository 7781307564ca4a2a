"""What the scripts share: exit codes, and errors as one paragraph."""

from __future__ import annotations

import io
import os
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from mlir_datagen.config.compose import CONFIG_ERRORS, explain
from mlir_datagen.errors import UserError

BAD_INPUT = 2
INTERRUPTED = 130


def run(main: Callable[[], None]) -> int:
    """Run a script's main function; return its exit code."""
    # Hydra then raises, instead of printing its own message and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _open_output()
        _require_working_folder()
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except UserError as error:
        return _refuse(error)
    except CONFIG_ERRORS as error:
        return _refuse(explain(error))
    except KeyboardInterrupt:
        print("Stopped; nothing was left behind. The same command starts again.", file=sys.stderr)
        return INTERRUPTED
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
    return 0


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


def _drop_output() -> None:
    """Print nothing more: a second failure while Python flushes what is left would only be noise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_working_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError(
            "The working folder is gone: it was deleted or replaced. Change to one that is there (cd …), and type the "
            "same command again."
        ) from None


def _refuse(error: UserError) -> int:
    # Long words, such as paths and commands, must stay whole to be copied.
    print(textwrap.fill(f"Error: {error}", width=100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return BAD_INPUT
