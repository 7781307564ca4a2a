"""Text of MLIR that comes from anyone: what its parser and printer could not bear, told before they see it.

The parser calls itself for each level of nesting, and for each sign of an affine expression; so do the printer and the
verifier for nested types and attributes, which a short text can build from names for them. Where the stack ends, the
process does.
"""

from __future__ import annotations

import re

DEEPEST = 128
"""Brackets within each other. A network that is converted has about ten."""

LONGEST_RUN = 4096
"""Characters without a bracket, a comma, an equals sign or a string: an affine expression, a number, a type's shape."""

_OPENING = {"(": ")", "[": "]", "{": "}", "<": ">"}
# As the lexer reads them: strings and comments hold no brackets, and arrows and comparisons are none.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|->|[<>]=|[][(){}<>,=]')
# What refers to no other name is harmless. An affine map's name is a habit of MLIR's printer.
_NAMED = re.compile(r"[#!][\w$.-]+\s*=(?!\s*affine_(?:map|set)\s*<)")


def nesting_problem(text: str) -> str | None:
    """Say why a text must not be given to MLIR; None where it may be.

    A text for which it is None has brackets that match, at most `DEEPEST` of them within each other, and no run of more
    than `LONGEST_RUN` characters. It may still be no MLIR.
    """
    if named := _NAMED.search(text):
        return f"it names a type or an attribute, {named[0].rstrip('= ')!r}, that is no affine map"
    if len(text) <= LONGEST_RUN and sum(map(text.count, _OPENING)) <= DEEPEST:
        return None
    expected: list[str] = []
    end = 0
    for found in _TOKEN.finditer(text):
        if found.start() - end > LONGEST_RUN:
            return f"it has more than {LONGEST_RUN} characters without a bracket, a comma or an equals sign"
        token = found[0]
        if token.startswith("//"):
            continue
        end = found.end()
        if closing := _OPENING.get(token):
            expected.append(closing)
            if len(expected) > DEEPEST:
                return f"its brackets are nested more than {DEEPEST} deep"
        elif token in (")", "]", "}", ">") and (not expected or expected.pop() != token):
            return "its brackets do not match"
    if len(text) - end > LONGEST_RUN:
        return f"it has more than {LONGEST_RUN} characters without a bracket, a comma or an equals sign"
    return None
