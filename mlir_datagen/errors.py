"""The two kinds of failure; anything else is a bug and crashes.

`UserError` is for the person who runs the program. `Rejection` is about one program that is not kept: the run counts
it, lists it and goes on.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST_MESSAGE = 4000
"""What is beyond this many characters is cut out of a message: nobody reads it, and it may come from a stranger."""

_LONGEST_VALUE = 200
_LONGEST_SAID = 400
_MOST_BITS = 4096
_MEMORY = ("can't allocate memory", "not enough memory", "std::bad_alloc")


class UserError(ValueError):
    """What was wrong, what is allowed, and what to type instead, as one paragraph.

    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_cut(message, LONGEST_MESSAGE))


class Resumable(UserError):
    """What stops a run that goes on where it was when the same command is typed again."""


class Rejection(Exception):
    """One program failed a stage and is not kept.

    Attributes:
        stage: the stage it failed, one of `STAGES`.
        reason: the tool's own first message, on one line.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[type[Rejection], tuple[str, str]]:
        """Come back whole from another process."""
        return Rejection, (self.stage, self.reason)


class _ShortRepr(reprlib.Repr):
    """Python's spelling of a value, in time and length that do not depend on how large it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 10
        self.maxstring = self.maxother = _LONGEST_VALUE

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to spell a number of thousands of digits.
        if value.bit_length() > _MOST_BITS:
            return f"a whole number of about {value.bit_length() * 30103 // 100000 + 1} digits"
        return super().repr_int(value, level)


_SHORT = _ShortRepr()


def shown(value: Any) -> str:
    """Return a value as a message shows it: as Python spells it, on one line, and cut where it is long."""
    return _cut(_SHORT.repr(value), _LONGEST_VALUE)


def said(text: object) -> str:
    """Return what a library says, or another text that may be anything, on one line and cut where it is long."""
    return _cut(" ".join(str(text).split()), _LONGEST_SAID)


def _cut(text: str, longest: int) -> str:
    """Return a text without its middle where it is too long."""
    if len(text) <= longest:
        return text
    tail = longest // 4
    return f"{text[: longest - tail - 3]} … {text[-tail:]}"


def nearest(word: str, known: Iterable[str], most: int = 1) -> str:
    """Return ' Did you mean "..."?' for the closest known words, or an empty string when nothing is close."""
    if len(word) > _LONGEST_VALUE:
        return ""
    matches = difflib.get_close_matches(word, list(known), n=most, cutoff=0.6)
    quoted = " or ".join([f'"{match}"' for match in matches])
    return f" Did you mean {quoted}?" if matches else ""


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence: `a, b, c`."""
    return ", ".join(words)


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def is_about_memory(error: BaseException) -> bool:
    """Tell whether PyTorch raised something because there is not enough memory."""
    return any(sign in str(error) for sign in _MEMORY)
