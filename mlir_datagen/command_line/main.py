"""The console command `mlir-datagen`, and what is run when a script is typed."""

from __future__ import annotations

from mlir_datagen.command_line import stoppable  # noqa: F401

# isort: split

import os
import sys
from functools import partial
from typing import NoReturn

import click

from mlir_datagen.command_line import running
from mlir_datagen.command_line.parsing import Subcommands, load
from mlir_datagen.command_line.subcommands import SUBCOMMANDS
from mlir_datagen.command_line.typed import CONSOLE, command, set_typed
from mlir_datagen.version import GENERATOR_VERSION, PACKAGE_VERSION

_COMPLETE = "_MLIR_DATAGEN_COMPLETE"
"""The variable through which a shell asks to complete what is typed."""

_WHAT = """Datasets of MLIR programs, every one proven, for agents and cost models that learn to optimise.

The first dataset: mlir-datagen generate experiment=tiny
"""


def console() -> NoReturn:
    """Run what `mlir-datagen` is typed with, and end the process."""
    set_typed(is_console=True)
    group = Subcommands(SUBCOMMANDS, name=CONSOLE, help=_WHAT)
    version = f"{CONSOLE} {PACKAGE_VERSION} (generator version {GENERATOR_VERSION})"
    group.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, help="Print the version.",
            callback=partial(_print_version, version),
        )
    )  # fmt: skip
    if asked := os.environ.get(_COMPLETE):
        # Only here, since only shells need it.
        from mlir_datagen.command_line.shells import answer

        running.leave(running.run(lambda: sys.exit(answer(group, CONSOLE, _COMPLETE, asked))))
    running.leave(running.run(partial(_invoke, group, CONSOLE)))


def script(subcommand: str) -> NoReturn:
    """Run what a script is typed with, and end the process."""
    set_typed(is_console=False)
    running.leave(running.run(lambda: _invoke(load(subcommand), command(subcommand))))


def _invoke(typed: click.Command, name: str) -> None:
    # Not typed.main(): it would catch Ctrl-C, and print in a form of its own.
    try:
        with typed.make_context(name, sys.argv[1:]) as context:
            typed.invoke(context)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(running.BAD_INPUT)


def _print_version(version: str, context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(version)
        context.exit()


if __name__ == "__main__":
    console()
