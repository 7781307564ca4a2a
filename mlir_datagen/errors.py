"""The two kinds of failure; anything else is a bug and crashes.

`UserError` is for the person who runs the program. `Rejection` is about one program that is not kept: the run counts
it, lists it and goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What was wrong, what is allowed, and what to type instead, as one paragraph.

    The scripts print it without a traceback and exit with code 2.
    """


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


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean "..."?' for the closest known word, or an empty string when nothing is close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{matches[0]}"?' if matches else ""


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence: `a, b, c`."""
    return ", ".join(words)
