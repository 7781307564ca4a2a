"""What the scripts share: exit codes, and errors as one paragraph."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable

from mlir_datagen.config.compose import CONFIG_ERRORS, explain
from mlir_datagen.errors import UserError

BAD_INPUT = 2
INTERRUPTED = 130


def run(main: Callable[[], None]) -> int:
    """Run a script's main function; return its exit code."""
    # Hydra then raises, instead of printing its own message and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except UserError as error:
        return _refuse(error)
    except CONFIG_ERRORS as error:
        return _refuse(explain(error))
    except KeyboardInterrupt:
        print("Stopped; nothing was left behind. The same command starts again.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; a second failure while Python flushes it would only be noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _refuse(error: UserError) -> int:
    # Long words, such as paths and commands, must stay whole to be copied.
    print(textwrap.fill(f"Error: {error}", width=100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return BAD_INPUT
