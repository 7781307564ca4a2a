"""A page of what is known of something: for a terminal of any width, or for a pipe."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

import click
from tabulate import tabulate

_WIDTH_OF_A_PIPE = 100
_NARROWEST = 20
_LONGEST_KEY = 18
_LINES_ON_A_TERMINAL = 300
_LONGEST_LINE = 4000

# What a stranger's file could move the cursor with, or recolour the terminal.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")

_TOKENS = re.compile(
    r"(?P<comment>//.*)"
    r'|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<value>%[\w$.#-]+)"
    r"|(?P<symbol>[@#^!][\w$.-]+)"
    r"|(?P<operation>\b[a-z_]\w*\.[\w.]+|\b(?:module|return)\b)"
    r"|(?P<type>\b(?:tensor|memref|vector|index|none|i\d+|f\d+|bf16)\b|(?<=x)(?:i\d+|f\d+|bf16)\b)"
    r"|(?P<number>(?<![\w.%])-?\b(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b)"
)
_COLOURS = {
    "comment": "bright_black",
    "text": "yellow",
    "value": "cyan",
    "symbol": "magenta",
    "type": "green",
    "operation": "blue",
    "number": "red",
}


class Page:
    """Prints on standard output: coloured on a terminal, and there no line is wider than it.

    NO_COLOR, when it is set to anything, takes the colour away.
    """

    def __init__(self) -> None:
        self.on_terminal = sys.stdout.isatty()
        self._coloured = self.on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = max(_NARROWEST, shutil.get_terminal_size((_WIDTH_OF_A_PIPE, 24)).columns)

    def title(self, text: str) -> None:
        """Print the first line."""
        for line in self._wrapped(text, ""):
            self._print(click.style(line, bold=True) if self._coloured else line)

    def heading(self, text: str) -> None:
        """Print what a part is of."""
        self._print("")
        self.title(text)

    def facts(self, facts: Mapping[str, str | None]) -> None:
        """Print a line for each fact, but None; wrapped lines go on below their beginning."""
        known = {key: value for key, value in facts.items() if value is not None}
        column = min(_LONGEST_KEY, max(map(len, known), default=0)) + 2
        if column > self._width // 2:
            column = 2
        for key, value in known.items():
            in_one_line = len(key) + 2 <= column
            if not in_one_line:
                self._print(self._key(key))
            # Words of commands stay whole, to be copied, where the terminal has room.
            lines = self._wrapped(value, " " * column) or [""]
            first = lines[0][column:]
            self._print(f"{self._key(key)}{' ' * (column - len(key))}{first}" if in_one_line else lines[0])
            for line in lines[1:]:
                self._print(line)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], align: str = "left") -> None:
        """Print a table; where it is too wide, the facts of each row.

        Args:
            headers: of its columns.
            rows: a text for each column.
            align: left or right, for all columns but the first.
        """
        alignment = ["left", *[align] * (len(headers) - 1)]
        table = tabulate(rows, headers=headers, disable_numparse=True, colalign=alignment if rows else None)
        if max(map(len, table.splitlines())) <= self._width:
            head, *body = table.splitlines()
            self._print(click.style(head, bold=True) if self._coloured else head)
            for line in body:
                self._print(line)
            return
        for row in rows:
            self.title(row[0])
            self.facts({f"  {header}": value for header, value in zip(headers[1:], row[1:], strict=True) if value})

    def sentence(self, text: str) -> None:
        """Print a sentence."""
        for line in self._wrapped(text, ""):
            self._print(line)

    def command(self, text: str, meaning: str) -> None:
        """Print a command, and what it does."""
        self._print("")
        self.sentence(f"{meaning}:")
        for line in _command_lines(text.translate(_CONTROLS), self._width - 2):
            self._print(f"  {click.style(line, fg='green') if self._coloured else line}")

    def program(self, text: str) -> None:
        """Print the text of a program: in a pipe as it is; on a terminal coloured, wrapped, and the beginning alone."""
        lines = text.splitlines()
        if not self.on_terminal:
            self._print(text.rstrip("\n"))
            return
        for line in lines[:_LINES_ON_A_TERMINAL]:
            shown = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} …"
            indent = " " * (len(shown) - len(shown.lstrip()))
            for piece in self._wrapped(shown.strip(), f"{indent}    ", indent) or [""]:
                self._print(_highlighted(piece) if self._coloured else piece)
        if len(lines) > _LINES_ON_A_TERMINAL:
            self.sentence(f"… {len(lines) - _LINES_ON_A_TERMINAL} more lines, which are printed to a pipe or a file")

    def _key(self, key: str) -> str:
        return click.style(key, fg="cyan") if self._coloured else key

    def _wrapped(self, text: str, indent: str, first: str | None = None) -> list[str]:
        return textwrap.wrap(
            text.translate(_CONTROLS),
            self._width,
            initial_indent=indent if first is None else first,
            subsequent_indent=indent,
            # On a terminal a line that is too long is cut anyway.
            break_long_words=self.on_terminal,
            break_on_hyphens=False,
        )

    def _print(self, line: str) -> None:
        # The escapes that are left are ours.
        print(line if self._coloured else line.translate(_CONTROLS))


def _command_lines(command: str, width: int) -> list[str]:
    """Wrap a command so that it is the same when it is copied: between words, and behind commas of quoted JSON."""
    # Each piece with what follows on its line where it is broken there.
    pieces: list[tuple[str, str]] = []
    for word in re.findall(r"""(?:'[^']*'|"[^"]*"|\S)+""", command):
        parts = re.findall(r"[^,]*,|[^,]+$", word) if word.startswith("'{") else [word]
        pieces += [*((part, "") for part in parts[:-1]), (parts[-1], " \\")]
    lines, line, ending = [], "", ""
    for piece, at_break in pieces:
        joined = f"{line}{' ' if ending else ''}{piece}"
        if line and len(joined) + len(at_break) > width:
            lines.append(line + ending)
            joined = piece
        line, ending = joined, at_break
    return [*lines, line]


def _highlighted(line: str) -> str:
    """Colour a line of MLIR."""

    def coloured(match: re.Match[str]) -> str:
        return click.style(match[0], fg=_COLOURS[str(match.lastgroup)])

    return _TOKENS.sub(coloured, line)
