"""The commands that messages name, as the person types them.

Inside, and in all files, they are those of scripts/, so that the same config makes the same bytes however it is typed.
"""

from __future__ import annotations

import os
import re
import shlex

CONSOLE = "mlir-datagen"

_VARIABLE = "MLIR_DATAGEN_TYPED"
"""In the environment, since launchers run the jobs of a sweep in processes of their own, which print, too."""

_SCRIPT = re.compile(r"(?:python )?scripts/(\w+)\.py")
_SCRIPT_NAMES = {"check": "check_mlir_rl"}
"""The scripts that are not called as the subcommand is."""


def set_typed(is_console: bool) -> None:
    """Say whether `mlir-datagen` was typed, and no script."""
    os.environ[_VARIABLE] = CONSOLE if is_console else "scripts"


def command(subcommand: str, *arguments: str) -> str:
    """Return how the person types a subcommand with some arguments."""
    script = _SCRIPT_NAMES.get(subcommand, subcommand.replace("-", "_"))
    return as_typed(" ".join([f"python scripts/{script}.py", *(shlex.quote(each) for each in arguments)]))


def as_typed(message: str) -> str:
    """Return a message whose commands are those that the person types."""
    if os.environ.get(_VARIABLE) != CONSOLE:
        return message
    subcommands = {script: subcommand for subcommand, script in _SCRIPT_NAMES.items()}
    return _SCRIPT.sub(lambda match: f"{CONSOLE} {subcommands.get(match[1], match[1]).replace('_', '-')}", message)
