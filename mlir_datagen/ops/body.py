"""The scalar body of a structured operation: an expression of what it reads at a point, and what adds that up.

    mul(a, b)                  the product of the elements of two operands
    max(a, number)             the larger of an element and a number that the program has
    div(1, add(1, exp(neg(a))))

The inputs with contents are `a`, `b`, `c` and so on, in their order; the functions are those of `scalars`.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Union

from mlir_datagen.errors import shown
from mlir_datagen.ops.scalars import SCALARS, conversion

NUMBER = "number"
"""What stands in an expression for the number that a program has."""


class Call(NamedTuple):
    """A scalar operation on expressions."""

    scalar: str
    operands: tuple[Expression, ...]


Expression = Union[str, float, "Call"]
"""The name of an input, or of the program's number; a number; or an operation on such."""


@lru_cache(maxsize=1024)
def read_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        ValueError: when it is none; it says what is wrong.
    """
    try:
        return _read(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        # The last two are of what is nested too deeply.
        raise ValueError(f"{shown(text)} is no expression: it has the form mul(a, b)") from error


def _read(node: ast.expr, text: str) -> Expression:
    if isinstance(node, ast.Name):
        if node.id == NUMBER or node.id in string.ascii_lowercase:
            return node.id
        raise ValueError(f"{text!r} reads {node.id!r}: inputs are a, b, c and so on, and the number is {NUMBER}")
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_read(node.operand, text)  # type: ignore[operator]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        scalar = SCALARS.get(node.func.id)
        if scalar is None:
            raise ValueError(f"{text!r} has {node.func.id!r}, which is no scalar operation")
        if len(node.args) != scalar.arity:
            raise ValueError(f"{text!r} gives {node.func.id} {len(node.args)} operands, and it takes {scalar.arity}")
        return Call(node.func.id, tuple(_read(argument, text) for argument in node.args))
    raise ValueError(f"{text!r} is no expression: it has the form mul(a, b)")


class Body(NamedTuple):
    """What is computed at a point.

    Attributes:
        text: an expression of what is read.
        accumulate: the scalar operation that adds its value to the result so far; None where nothing is reduced.
    """

    text: str
    accumulate: str | None = None

    @property
    def expression(self) -> Expression:
        """The expression, read."""
        return read_expression(self.text)

    @property
    def steps(self) -> tuple[str, ...]:
        """The scalar operations of one point, in order."""
        own = _scalars(self.text)
        return own if self.accumulate is None else (*own, self.accumulate)

    @property
    def flops(self) -> int:
        """How many of them are arithmetic."""
        return sum(not SCALARS[step].is_free for step in self.steps)

    @property
    def has_number(self) -> bool:
        """Whether it reads the program's number."""
        return NUMBER in self.numbers

    @property
    def numbers(self) -> tuple[float | str, ...]:
        """The numbers that it reads, each once: those of the expression, and `number` for the program's."""
        return _numbers(self.text)

    @property
    def letters(self) -> frozenset[str]:
        """The inputs that it reads."""
        return _letters(self.text)

    @property
    def conditions(self) -> frozenset[str]:
        """The inputs that something is selected by: they are truth values."""
        return _conditions(self.text)

    def start(self, dtype: str) -> float:
        """Return what a result starts from that is accumulated."""
        assert self.accumulate is not None
        return SCALARS[self.accumulate].start_of(dtype)

    def emit(
        self,
        inputs: Sequence[tuple[str, str]],
        numbers: Sequence[str],
        result: tuple[str, str],
        fresh: Callable[[], str],
    ) -> tuple[list[str], str]:
        """Return its lines of text, and the name of what they compute.

        Elements of other types than the result's are converted to it, all of them first, as named operations do.

        Args:
            inputs: the names and types of the elements that are read.
            numbers: the names of the constants that `numbers` lists.
            result: the name and type of the result's element so far.
            fresh: gives the next name.
        """
        lines: list[str] = []
        total, dtype = result
        names: dict[float | str, str] = dict(zip(self.numbers, numbers, strict=True))
        kept = self.conditions
        for letter, (name, given) in zip(string.ascii_lowercase, inputs, strict=False):
            names[letter] = name
            if given != dtype and letter not in kept:
                names[letter] = fresh()
                lines.append(f"{names[letter]} = {conversion(given, dtype)} {name} : {given} to {dtype}")

        def computed(kind: str, operands: Sequence[str]) -> str:
            name = fresh()
            lines.append(f"{name} = {SCALARS[kind].spelled(dtype)} {', '.join(operands)} : {dtype}")
            return name

        def value(expression: Expression) -> str:
            if not isinstance(expression, Call):
                return names[expression]
            return computed(expression.scalar, [value(operand) for operand in expression.operands])

        found = value(self.expression)
        return lines, found if self.accumulate is None else computed(self.accumulate, [total, found])

    def evaluate(self, inputs: Sequence[Any], number: Any, apply: Callable[..., Any]) -> Any:
        """Return the expression's value.

        Args:
            inputs: what is read.
            number: the program's.
            apply: returns the value of a scalar operation, given its name and operands.
        """
        known = {**dict(zip(string.ascii_lowercase, inputs, strict=False)), NUMBER: number}
        return evaluated(self.expression, known, apply)


def evaluated(expression: Expression, known: Mapping[str, Any], apply: Callable[..., Any]) -> Any:
    """Return an expression's value.

    Args:
        expression: the expression.
        known: what its names stand for.
        apply: returns the value of a scalar operation, given its name and operands.
    """
    if isinstance(expression, Call):
        return apply(expression.scalar, *(evaluated(operand, known, apply) for operand in expression.operands))
    return known[expression] if isinstance(expression, str) else expression


def _calls(expression: Expression) -> Iterator[Call]:
    """Yield its operations in the order in which they are computed."""
    if isinstance(expression, Call):
        for operand in expression.operands:
            yield from _calls(operand)
        yield expression


def _leaves(expression: Expression) -> list[str | float]:
    if isinstance(expression, Call):
        return [leaf for operand in expression.operands for leaf in _leaves(operand)]
    return [expression]


@lru_cache(maxsize=1024)
def _scalars(text: str) -> tuple[str, ...]:
    return tuple(call.scalar for call in _calls(read_expression(text)))


@lru_cache(maxsize=1024)
def _numbers(text: str) -> tuple[float | str, ...]:
    leaves = _leaves(read_expression(text))
    return tuple(dict.fromkeys(leaf for leaf in leaves if leaf == NUMBER or isinstance(leaf, float)))


@lru_cache(maxsize=1024)
def _letters(text: str) -> frozenset[str]:
    return frozenset(leaf for leaf in _leaves(read_expression(text)) if isinstance(leaf, str) and leaf != NUMBER)


@lru_cache(maxsize=1024)
def _conditions(text: str) -> frozenset[str]:
    chosen = (call.operands[0] for call in _calls(read_expression(text)) if call.scalar == "select")
    return frozenset(letter for letter in chosen if isinstance(letter, str))
