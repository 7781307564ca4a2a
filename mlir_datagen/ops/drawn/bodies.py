"""Bodies that are drawn: expressions of a few scalar operations, in range by construction.

Inputs lie between -1 and 1. Each value carries the interval that it lies in, and an operation is applied only to what
lies in its domain; where the sum with a number does, that is what it is applied to. So nothing is divided by what is
near zero, no logarithm or root is taken of what is not well above it, no exponential or power is large, and rounding
that comes in is not magnified by much.

What has no effect is not drawn: with any operations left out, or any input changed, other results come out, by more
than rounding, of the very reduction that the body is for. That is seen on a fixed sample of inputs.

Not drawn are `ceil` and `floor`, behind which the least rounding is a whole one; and `select`, whose condition none of
the scalar operations makes.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.body import Call, Expression, evaluated, read_expression
from mlir_datagen.ops.drawn.draft import CannotBeDrawn, Draw
from mlir_datagen.ops.scalars import SCALARS

Interval = tuple[float, float]

LARGEST = 64.0
"""No value is larger, of either sign."""
_LARGEST_FACTOR = 2.0
"""Nor one that others are multiplied with in a reduction."""
_LEAST_WIDTH = 0.1
"""No interval is narrower: what hardly changes says nothing of the inputs."""
_ANY: Interval = (-LARGEST, LARGEST)
_POSITIVE: Interval = (0.25, LARGEST)
_INPUT: Interval = (-1.0, 1.0)
_NUMBERS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 3.0)
_TRIES = 12

_REDUCTIONS: dict[str, Callable[..., Any]] = {"add": np.sum, "mul": np.prod, "max": np.max, "min": np.min}
_SAMPLES, _SUMMED_SAMPLES = 1024, 128
_FEWEST_RESULTS = 4
_LEAST_EFFECT = 0.01
"""Of the largest result, the mean change that counts as an effect: a hundred times what is allowed for rounding."""


class Range(NamedTuple):
    """What is known of a scalar operation.

    Attributes:
        function: computes it.
        domains: where each operand must lie.
        turns: where it turns: between these it rises or falls, in each operand.
    """

    function: Callable[..., Any]
    domains: tuple[Interval, ...]
    turns: tuple[float, ...] = ()

    def of(self, operands: Sequence[Interval]) -> Interval:
        """Return the interval of its values; nine digits, so that it is the same on every machine."""
        points = [[*one, *(turn for turn in self.turns if one[0] < turn < one[1])] for one in operands]
        values = [float(self.function(*corner)) for corner in itertools.product(*points)]
        return round(min(values), 9), round(max(values), 9)


def _erf(values: Any) -> Any:
    return np.vectorize(math.erf, otypes=[float])(values)


def _rsqrt(values: Any) -> Any:
    return 1 / np.sqrt(values)


RANGES: dict[str, Range] = {
    "add": Range(np.add, (_ANY, _ANY)),
    "sub": Range(np.subtract, (_ANY, _ANY)),
    "mul": Range(np.multiply, (_ANY, _ANY)),
    "div": Range(np.divide, (_ANY, _POSITIVE)),
    "max": Range(np.maximum, (_ANY, _ANY)),
    "min": Range(np.minimum, (_ANY, _ANY)),
    "powf": Range(np.power, ((0.25, 8.0), (-3.0, 3.0))),
    "exp": Range(np.exp, ((-8.0, 4.0),)),
    "log": Range(np.log, (_POSITIVE,)),
    "log1p": Range(np.log1p, ((-0.75, LARGEST),)),
    "abs": Range(np.abs, (_ANY,), turns=(0.0,)),
    "neg": Range(np.negative, (_ANY,)),
    "sqrt": Range(np.sqrt, (_POSITIVE,)),
    "rsqrt": Range(_rsqrt, (_POSITIVE,)),
    "tanh": Range(np.tanh, ((-4.0, 4.0),)),
    "erf": Range(_erf, ((-3.0, 3.0),)),
    "sin": Range(np.sin, ((-6.0, 6.0),), turns=tuple(math.pi * (turn + 0.5) for turn in range(-2, 2))),
    "cos": Range(np.cos, ((-6.0, 6.0),), turns=tuple(math.pi * turn for turn in range(-1, 2))),
}
"""By the names of `scalars`: what bodies are drawn from."""


class _Value(NamedTuple):
    text: str
    interval: Interval


class Reduction(NamedTuple):
    """What is done with a body's values.

    Attributes:
        accumulate: what they are reduced with; None where they are not.
        values: how many of them are: 1 where none is.
        varying: of each input, how many elements go into them: 1 where it is the same for all.
    """

    accumulate: str | None
    values: int
    varying: tuple[int, ...]


def draw_body(draw: Draw, vocabulary: Sequence[str], operations: int, reduction: Reduction) -> str:
    """Return the text of a body that reads all inputs.

    Args:
        draw: the choices.
        vocabulary: the scalar operations that it may consist of.
        operations: how many operations it has.
        reduction: what is done with its values.

    Raises:
        CannotBeDrawn: when the choices lead to none.
    """
    for _ in range(_TRIES):
        try:
            text = _tried(draw, vocabulary, operations, reduction)
        except CannotBeDrawn:
            continue
        if all_has_effect(text, reduction):
            return text
    raise CannotBeDrawn


def _tried(draw: Draw, vocabulary: Sequence[str], operations: int, reduction: Reduction) -> str:
    letters = [_Value(letter, _INPUT) for letter in string.ascii_lowercase[: len(reduction.varying)]]
    unread, left = list(letters), operations
    while left:
        # Each operation that joins two values leaves one less.
        spare = left - (len(unread) - 1)
        if spare < 0:
            raise CannotBeDrawn
        made, used = _operation(draw, vocabulary, unread, letters, spare)
        unread.append(made)
        left -= used
    (result,) = unread
    if reduction.accumulate == "mul" and max(map(abs, result.interval)) > _LARGEST_FACTOR:
        raise CannotBeDrawn
    return result.text


def _operation(
    draw: Draw, vocabulary: Sequence[str], unread: list[_Value], letters: Sequence[_Value], spare: int
) -> tuple[_Value, int]:
    """Apply an operation to one or two of the values that none reads yet, and take these out.

    Args:
        draw: the choices.
        vocabulary: the operations.
        unread: the values.
        letters: the inputs, which may be read again.
        spare: how many operations need not join two of the values.

    Returns:
        What it computes, and how many operations that took.
    """
    for _ in range(_TRIES):
        kind = draw.one_of(vocabulary)
        if not spare and SCALARS[kind].arity == 1:
            continue
        chosen = [draw.between(0, len(unread) - 1)]
        operands = [unread[chosen[0]]]
        if SCALARS[kind].arity == 2:
            others = [place for place in range(len(unread)) if place != chosen[0]]
            if others and (not spare or draw.between(0, 1)):
                chosen.append(draw.one_of(others))
                operands.append(unread[chosen[1]])
            elif not spare:
                continue
            else:
                operands.append(_again(draw, letters))
            if draw.between(0, 1):
                operands.reverse()
        joins = len(chosen) == 2
        allowed = spare if joins else spare - 1
        fitted = [_within(draw, vocabulary, *pair) for pair in zip(operands, RANGES[kind].domains, strict=True)]
        added = sum(one is not operand for one, operand in zip(fitted, operands, strict=True))
        found = [one for one in fitted if one is not None]
        if len(found) < len(fitted) or added > allowed:
            continue
        low, high = interval = RANGES[kind].of([one.interval for one in found])
        if max(-low, high) > LARGEST or high - low < _LEAST_WIDTH:
            continue
        for place in sorted(chosen, reverse=True):
            del unread[place]
        return _Value(f"{kind}({', '.join(one.text for one in found)})", interval), 1 + added
    raise CannotBeDrawn


def _again(draw: Draw, letters: Sequence[_Value]) -> _Value:
    """Return a number or, one time of two, an input, which is read again."""
    number = draw.one_of(_NUMBERS)
    return draw.one_of(letters) if draw.between(0, 1) else _Value(repr(number), (number, number))


def _within(draw: Draw, vocabulary: Sequence[str], value: _Value, domain: Interval) -> _Value | None:
    """Return a value, or its sum with a number, if that lies in a domain."""
    low, high = value.interval
    if domain[0] <= low and high <= domain[1]:
        return value
    fitting = [number for number in _NUMBERS if domain[0] <= low + number and high + number <= domain[1]]
    if not fitting or "add" not in vocabulary or low == high:
        return None
    number = draw.one_of(fitting)
    return _Value(f"add({value.text}, {number!r})", (low + number, high + number))


@lru_cache(maxsize=256)
def _sample(reduction: Reduction) -> tuple[NDArray[np.float64], ...]:
    """Return inputs at some points; what their last dimension has is reduced."""
    # Sums of some values are like sums of more.
    length = min(reduction.values, _SUMMED_SAMPLES) if reduction.accumulate == "add" else reduction.values
    results = max(_SAMPLES // length, _FEWEST_RESULTS)
    generator = np.random.Generator(np.random.PCG64(0))
    found = []
    for varying in reduction.varying:
        elements = min(varying, length)
        values = generator.uniform(*_INPUT, (results, elements))
        found.append(values[:, np.arange(length) * elements // length])
    return tuple(found)


def all_has_effect(text: str, reduction: Reduction) -> bool:
    """Tell whether each operation and each input of a body shows in what its values are reduced to."""
    sample, accumulate = _sample(reduction), reduction.accumulate
    expression = read_expression(text)

    def results(expression: Expression, given: Sequence[NDArray[np.float64]] = sample) -> Any:
        values = np.broadcast_to(_computed(expression, given), given[0].shape)
        return values if accumulate is None else _REDUCTIONS[accumulate](values, axis=-1)

    right = results(expression)
    least = _LEAST_EFFECT * float(np.abs(right).max())

    def differs(other: Any) -> bool:
        # Without an operation it may be NaN.
        return not np.abs(other - right).mean() <= least

    changed = [np.roll(one, 1, axis=0) * 0.9 for one in sample]
    with np.errstate(all="ignore"):
        return all(differs(results(one)) for one in _shortened(expression)) and all(
            differs(results(expression, [*sample[:place], changed[place], *sample[place + 1 :]]))
            for place in range(len(sample))
        )


def _computed(expression: Expression, inputs: Sequence[Any]) -> Any:
    known = dict(zip(string.ascii_lowercase, inputs, strict=False))
    return evaluated(expression, known, lambda kind, *operands: RANGES[kind].function(*operands))


def _shortened(expression: Expression) -> Iterator[Expression]:
    """Yield the expression with operations left out: each part of it in place of one that it is inside."""
    if not isinstance(expression, Call):
        return
    yield from _parts(expression)
    if expression.scalar == "abs":
        # Of what is hardly ever positive, that is the same.
        yield Call("neg", expression.operands)
    for place, operand in enumerate(expression.operands):
        for other in _shortened(operand):
            yield Call(expression.scalar, (*expression.operands[:place], other, *expression.operands[place + 1 :]))


def _parts(expression: Call) -> Iterator[Expression]:
    for operand in expression.operands:
        yield operand
        if isinstance(operand, Call):
            yield from _parts(operand)
