"""The scalar body of a structured operation: an expression of what it reads at a point, and what adds that up.

    mul(a, b)                  the product of the elements of two operands
    max(a, number)             the larger of an element and a number that the program has
    div(1, add(1, exp(neg(a))))
    select(equal(a, b), index(k), number)    the place along the loop k where two elements are equal
    f64(mul(a, i32(add(b, 1))))    in these types, whatever type the result has, to which the value is converted

The inputs with contents are `a`, `b`, `c` and so on, in their order; the functions are those of `scalars`. What is
selected by is an input of truth values, or whether two inputs are equal, which may be of another type than the result.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Union

from mlir_datagen.errors import shown
from mlir_datagen.ops.scalars import SCALARS, conversion

_INDEX = "index"
_TYPES = ("f64", "i32", "i64")
NUMBER = "number"
"""What stands in an expression for the number that a program has."""


class Call(NamedTuple):
    """A scalar operation on expressions."""

    scalar: str
    operands: tuple[Expression, ...]


class Index(NamedTuple):
    """Where a loop stands."""

    loop: str


class Constant(NamedTuple):
    """A number of an element type."""

    number: float
    dtype: str


class Typed(NamedTuple):
    """An expression that is computed in an element type; its inputs have it."""

    dtype: str
    operand: Expression


Expression = Union[str, float, "Call", "Index", "Constant", "Typed"]
"""The name of an input, or of the program's number; a number; where a loop stands; or an operation on such."""


@lru_cache(maxsize=1024)
def read_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        ValueError: when it is none; it says what is wrong.
    """
    try:
        expression = _read(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        # The last two are of what is nested too deeply.
        raise ValueError(f"{shown(text)} is no expression: it has the form mul(a, b)") from error
    _check_conditions(Call("", (expression,)), text)
    return expression


def _check_conditions(call: Call, text: str) -> None:
    """Check that truth values are selected by, and that nothing else is done with them.

    Raises:
        ValueError: when it is not so.
    """
    for place, operand in enumerate(call.operands):
        operand = operand.operand if isinstance(operand, Typed) else operand
        is_equality = isinstance(operand, Call) and operand.scalar == "equal"
        if call.scalar == "select" and place == 0:
            if not is_equality and not _is_input(operand):
                raise ValueError(f"{text!r} selects by what is no truth value: by an input, or by equal(a, b)")
        elif is_equality:
            raise ValueError(f"{text!r} has a truth value where a number stands: equal(a, b) is what select chooses by")
        if call.scalar == "equal" and not _is_input(operand):
            raise ValueError(f"{text!r} compares what is no input: equal takes inputs, as in equal(a, b)")
        if isinstance(operand, Call):
            _check_conditions(operand, text)


def _is_input(expression: Expression) -> bool:
    return isinstance(expression, str) and expression != NUMBER


def _read(node: ast.expr, text: str, dtype: str | None = None) -> Expression:
    if isinstance(node, ast.Name):
        if node.id == NUMBER or node.id in string.ascii_lowercase:
            return node.id
        raise ValueError(f"{text!r} reads {node.id!r}: inputs are a, b, c and so on, and the number is {NUMBER}")
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value) if dtype is None else Constant(float(node.value), dtype)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_read(node.operand, text)  # type: ignore[operator]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _read_call(node.func.id, node.args, text, dtype)
    raise ValueError(f"{text!r} is no expression: it has the form mul(a, b)")


def _read_call(name: str, arguments: Sequence[ast.expr], text: str, dtype: str | None) -> Expression:
    if name == _INDEX:
        if len(arguments) != 1 or not isinstance(arguments[0], ast.Name):
            raise ValueError(f"{text!r} has an index of no loop: it has the form index(k)")
        return Index(arguments[0].id)
    if name in _TYPES and len(arguments) == 1:
        return Typed(name, _read(arguments[0], text, name))
    scalar = SCALARS.get(name)
    if scalar is None:
        raise ValueError(f"{text!r} has {name!r}, which is no scalar operation")
    if len(arguments) != scalar.arity:
        raise ValueError(f"{text!r} gives {name} {len(arguments)} operands, and it takes {scalar.arity}")
    return Call(name, tuple(_read(argument, text, dtype) for argument in arguments))


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
    def numbers(self) -> tuple[float | str | Constant, ...]:
        """The numbers that it reads, each once: those of the expression, and `number` for the program's."""
        return _numbers(self.text)

    @property
    def is_typed(self) -> bool:
        """Whether it computes in a type of its own."""
        return isinstance(self.expression, Typed)

    @property
    def letters(self) -> frozenset[str]:
        """The inputs that it reads."""
        return _letters(self.text)

    @property
    def conditions(self) -> frozenset[str]:
        """The inputs that something is selected by: they are truth values."""
        return _conditions(self.text)

    @property
    def compared(self) -> frozenset[str]:
        """The inputs that are compared with others: of any type, which need not be the result's."""
        return _compared(self.text)

    @property
    def converted(self) -> frozenset[str]:
        """The inputs that are read as numbers of the result's type."""
        return _converted(self.text)

    @property
    def indices(self) -> frozenset[str]:
        """The loops whose places it reads."""
        return _indices(self.text)

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
        loops: Sequence[str] = (),
    ) -> tuple[list[str], str]:
        """Return its lines of text, and the name of what they compute.

        Elements of other types than the result's are converted to it, all of them first, as named operations do.

        Args:
            inputs: the names and types of the elements that are read.
            numbers: the names of the constants that `numbers` lists.
            result: the name and type of the result's element so far.
            fresh: gives the next name.
            loops: the names of the iteration space's dimensions, in order.
        """
        lines: list[str] = []
        total, dtype = result
        names: dict[float | str | Constant, str] = dict(zip(self.numbers, numbers, strict=True))
        given = dict(zip(string.ascii_lowercase, inputs, strict=False))
        for letter, (name, type_) in given.items():
            names[letter] = name
            if type_ != dtype and letter in self.converted:
                names[letter] = fresh()
                lines.append(f"{names[letter]} = {conversion(type_, dtype)} {name} : {type_} to {dtype}")

        def computed(kind: str, operands: Sequence[str], type_: str = dtype) -> str:
            name = fresh()
            lines.append(f"{name} = {SCALARS[kind].spelled(type_)} {', '.join(operands)} : {type_}")
            return name

        def value(expression: Expression, dtype: str = dtype) -> str:
            if isinstance(expression, Index):
                place, name = fresh(), fresh()
                lines.append(f"{place} = linalg.index {loops.index(expression.loop)} : index")
                lines.append(f"{name} = arith.index_cast {place} : index to {dtype}")
                return name
            if isinstance(expression, Typed):
                inner, found = expression.dtype, value(expression.operand, expression.dtype)
                if inner == dtype:
                    return found
                name = fresh()
                lines.append(f"{name} = {conversion(inner, dtype)} {found} : {inner} to {dtype}")
                return name
            if not isinstance(expression, Call):
                return names[expression]
            type_ = given[str(expression.operands[0])][1] if expression.scalar == "equal" else dtype
            return computed(expression.scalar, [value(operand, dtype) for operand in expression.operands], type_)

        found = value(self.expression)
        return lines, found if self.accumulate is None else computed(self.accumulate, [total, found])

    def evaluate(
        self,
        inputs: Sequence[Any],
        number: Any,
        apply: Callable[..., Any],
        indices: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the expression's value.

        Args:
            inputs: what is read.
            number: the program's.
            apply: as that of `evaluated`.
            indices: where the loops stand that it reads.
        """
        known: dict[Any, Any] = {**dict(zip(string.ascii_lowercase, inputs, strict=False)), NUMBER: number}
        known.update((Index(loop), place) for loop, place in (indices or {}).items())
        return evaluated(self.expression, known, apply)


def evaluated(
    expression: Expression, known: Mapping[Any, Any], apply: Callable[..., Any], dtype: str | None = None
) -> Any:
    """Return an expression's value.

    Args:
        expression: the expression.
        known: what its names, and its indices, stand for.
        apply: returns the value of a scalar operation, given its name and operands; and what a number is in an element
            type, given that and the number.
        dtype: the element type that it is computed in, where that is its own.
    """
    if isinstance(expression, Call):
        return apply(expression.scalar, *(evaluated(operand, known, apply, dtype) for operand in expression.operands))
    if isinstance(expression, Typed):
        found = evaluated(expression.operand, known, apply, expression.dtype)
    elif isinstance(expression, Constant):
        found = expression.number
    else:
        found = expression if isinstance(expression, float) else known[expression]
    return found if dtype is None else apply(dtype, found)


def _calls(expression: Expression) -> Iterator[Call]:
    """Yield its operations in the order in which they are computed."""
    if isinstance(expression, Call):
        for operand in expression.operands:
            yield from _calls(operand)
        yield expression
    elif isinstance(expression, Typed):
        yield from _calls(expression.operand)


def _leaves(expression: Expression) -> list[str | float | Index | Constant]:
    if isinstance(expression, Call):
        return [leaf for operand in expression.operands for leaf in _leaves(operand)]
    return _leaves(expression.operand) if isinstance(expression, Typed) else [expression]


@lru_cache(maxsize=1024)
def _scalars(text: str) -> tuple[str, ...]:
    return tuple(call.scalar for call in _calls(read_expression(text)))


@lru_cache(maxsize=1024)
def _numbers(text: str) -> tuple[float | str | Constant, ...]:
    leaves, letters = _leaves(read_expression(text)), _letters(text)
    numbers = [leaf for leaf in leaves if isinstance(leaf, (float, str, Constant)) and leaf not in letters]
    return tuple(dict.fromkeys(numbers))


@lru_cache(maxsize=1024)
def _letters(text: str) -> frozenset[str]:
    return frozenset(leaf for leaf in _leaves(read_expression(text)) if isinstance(leaf, str) and leaf != NUMBER)


@lru_cache(maxsize=1024)
def _conditions(text: str) -> frozenset[str]:
    chosen = (call.operands[0] for call in _calls(read_expression(text)) if call.scalar == "select")
    return frozenset(letter for letter in chosen if isinstance(letter, str))


@lru_cache(maxsize=1024)
def _compared(text: str) -> frozenset[str]:
    equalities = (call for call in _calls(read_expression(text)) if call.scalar == "equal")
    return frozenset(str(letter) for call in equalities for letter in call.operands)


@lru_cache(maxsize=1024)
def _converted(text: str) -> frozenset[str]:
    def letters(expression: Expression, is_condition: bool = False) -> Iterator[str]:
        if isinstance(expression, Typed):
            return
        if isinstance(expression, Call) and expression.scalar != "equal":
            for place, operand in enumerate(expression.operands):
                yield from letters(operand, expression.scalar == "select" and place == 0)
        elif _is_input(expression) and not is_condition:
            yield str(expression)

    return frozenset(letters(read_expression(text)))


@lru_cache(maxsize=1024)
def _indices(text: str) -> frozenset[str]:
    return frozenset(leaf.loop for leaf in _leaves(read_expression(text)) if isinstance(leaf, Index))
