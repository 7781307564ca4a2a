"""Commands of click whose help has examples and the exit codes, and whose errors are in the form of all others."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from mlir_datagen.command_line.running import while_importing
from mlir_datagen.command_line.typed import command as typed_command
from mlir_datagen.errors import UserError, nearest, shown

_HELP = ("-h", "--help")
_EXIT_CODES = (
    ("0", "done"),
    ("1", "the reader of what is printed has gone"),
    ("2", "bad input, or no room: a paragraph says what to type"),
    ("130", "stopped by Ctrl-C (128 and the number of any other signal)"),
)


class Several(click.Option):
    """An option that takes all words behind it, up to the next option."""

    def __init__(self, declarations: Sequence[str], **settings: Any) -> None:
        super().__init__(declarations, multiple=True, **settings)


class Command(click.Command):
    """A subcommand.

    Args:
        name: what is typed.
        examples: arguments that it is typed with, and what they do.
        exit_codes: what some codes mean here, in the place of what they mean everywhere.
        settings: those of click.
    """

    def __init__(
        self,
        name: str,
        *,
        examples: Sequence[tuple[str, str]],
        exit_codes: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, context_settings={"help_option_names": list(_HELP)}, **settings)
        self._examples = examples
        self._exit_codes = {**dict(_EXIT_CODES), **(exit_codes or {})}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command line.

        Raises:
            UserError: when they are not as they must be.
        """
        try:
            return super().parse_args(ctx, list(self._spread(args)))
        except click.UsageError as error:
            if ctx.resilient_parsing:
                raise
            raise UserError(self._explained(error)) from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        with formatter.section("Examples"):
            for arguments, meaning in self._examples:
                indent = " " * formatter.current_indent
                # Whole, to be copied.
                formatter.write(f"{indent}{typed_command(str(self.name))} {arguments}".rstrip() + "\n")
                formatter.write(f"{indent}  {meaning}\n")
        write_exit_codes(formatter, self._exit_codes)

    def _spread(self, words: Sequence[str]) -> Iterator[str]:
        """Yield the words with the name of an option before each of those that it takes."""
        options = {name for each in self.params if isinstance(each, Several) for name in each.opts}
        name, is_first = None, False
        for word in words:
            if word.startswith("-"):
                name, is_first = (word if word in options else None), True
            elif name is not None and not is_first:
                yield name
            else:
                is_first = False
            yield word

    def _explained(self, error: click.UsageError) -> str:
        typed = typed_command(str(self.name))
        if isinstance(error, click.NoSuchOption):
            known = [name for each in self.params if isinstance(each, click.Option) for name in each.opts] + ["--help"]
            hint = nearest(error.option_name, known)
            return f"{typed} has no option {error.option_name}.{hint} It has {', '.join(known)}."
        problem = error.format_message().rstrip(".")
        return f"{problem}. Type for instance {typed} {self._examples[0][0]}; {typed} --help says more."


class Subcommands(click.Group):
    """The console command, whose subcommands are imported when they are typed.

    Args:
        known: what each does.
        settings: those of click.
    """

    def __init__(self, known: Mapping[str, str], **settings: Any) -> None:
        super().__init__(context_settings={"help_option_names": list(_HELP)}, **settings)
        self._known = known

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return list(self._known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, without importing it where only its name is to be completed."""
        if cmd_name not in self._known:
            return None
        return load(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand that is typed, and the words behind it.

        Raises:
            UserError: when there is none of that name.
        """
        name = args[0]
        if name not in self._known and not ctx.resilient_parsing:
            raise UserError(
                f"There is no subcommand {shown(name)}.{nearest(name, self._known)} There are "
                f"{', '.join(self._known)}. {ctx.command_path} --help says what each does."
            )
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command line.

        Raises:
            UserError: when there is an unknown option before the subcommand.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if ctx.resilient_parsing:
                raise
            known = ["--help", "--version"]
            hint = nearest(error.option_name, known)
            raise UserError(
                f"{ctx.command_path} has no option {error.option_name}.{hint} It has {', '.join(known)}; those of a "
                "subcommand come behind its name."
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each subcommand does."""
        with formatter.section("Subcommands"):
            formatter.write_dl(list(self._known.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes, and how words are completed."""
        write_exit_codes(formatter, {**dict(_EXIT_CODES), "1": "something was found wrong (check)"})
        shell = os.path.basename(os.environ.get("SHELL", "bash"))
        shell = shell if shell in ("bash", "zsh", "fish") else "bash"
        with formatter.section("Completion"):
            indent = " " * formatter.current_indent
            formatter.write(f"{indent}In {shell}, of subcommands, options, paths and settings:\n")
            formatter.write(f"{indent}{_COMPLETIONS[shell]}\n")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the subcommands and options that begin with a word, importing none."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, text in self._known.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


_COMPLETIONS = {
    "bash": 'eval "$(_MLIR_DATAGEN_COMPLETE=bash_source mlir-datagen)"',
    "zsh": 'eval "$(_MLIR_DATAGEN_COMPLETE=zsh_source mlir-datagen)"',
    "fish": "_MLIR_DATAGEN_COMPLETE=fish_source mlir-datagen | source",
}


def load(subcommand: str) -> click.Command:
    """Import a subcommand."""
    with while_importing():
        module = importlib.import_module(f"mlir_datagen.command_line.{subcommand.replace('-', '_')}")
    found: click.Command = module.command
    return found


def write_exit_codes(formatter: click.HelpFormatter, codes: Mapping[str, str]) -> None:
    """Write what each exit code means."""
    with formatter.section("Exit codes"):
        formatter.write_dl(list(codes.items()))
