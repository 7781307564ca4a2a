"""What shells ask of the console command to complete what is typed."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, add_completion_class, shell_complete

_ADDED = "COMPREPLY+=($value)"


class _Bash(BashComplete):
    """Puts no space behind the name of a setting, nor behind the beginning of a list, where the word goes on."""

    source_template = BashComplete.source_template.replace(
        _ADDED, f"{_ADDED}\n            [[ $value == *[=\\[]* ]] && compopt -o nospace 2>/dev/null"
    )


def answer(command: click.Command, name: str, variable: str, asked: str) -> int:
    """Print what a shell asks for; return the exit code.

    Args:
        command: what is typed.
        name: its name.
        variable: the one through which a shell asks.
        asked: what it has set the variable to, such as `bash_complete`.
    """
    add_completion_class(_Bash)
    return shell_complete(command, {}, name, variable, asked)
