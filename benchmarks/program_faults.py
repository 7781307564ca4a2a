"""What each op family can get wrong: changes of one place in the text of a right program."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops import contractions
from mlir_datagen.ops.family import Spec, Variant

_LINE = re.compile(
    r"    (?P<result>%\d+) = (?P<operation>linalg\.(?!fill|generic)\w+)(?: \{(?P<attributes>[^}]*)\})?"
    r" ins\((?P<names>[^:]*) : (?P<types>[^)]*)\) outs\((?P<init>%\w+) : (?P<type>[^)]*)\) -> \S+\n"
)


@dataclass(frozen=True)
class Operation:
    """The named operation of a program, and the text before and after it."""

    before: str
    result: str
    operation: str
    attributes: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    init: str
    type: str
    after: str

    @classmethod
    def of(cls, text: str) -> Operation:
        """Find it in a family's program."""
        found = _LINE.search(text)
        assert found is not None
        fields = found.groupdict(default="")
        names, types = (tuple(fields.pop(key).split(", ")) for key in ("names", "types"))
        return cls(text[: found.start()], names=names, types=types, after=text[found.end() :], **fields)

    def text(self) -> str:
        """Return the program's text."""
        braces = f" {{{self.attributes}}}" if self.attributes else ""
        ins = f"ins({', '.join(self.names)} : {', '.join(self.types)})"
        line = f"    {self.result} = {self.operation}{braces} {ins} outs({self.init} : {self.type}) -> {self.type}\n"
        return self.before + line + self.after

    def reading(self, place: int, name: str, type_: str, made_by: str = "") -> Operation:
        """Let it read another value as one of its operands, which these lines make."""
        names, types = list(self.names), list(self.types)
        names[place], types[place] = name, type_
        return dataclasses.replace(self, before=self.before + made_by, names=tuple(names), types=tuple(types))

    def as_generic(self, rank: int, maps: Sequence[str], reductions: int, body: str) -> str:
        """Return the program with a `linalg.generic` in its place that reads the same operands.

        Args:
            rank: how many loops it has.
            maps: what follows the arrow in the indexing map of each operand and the result.
            reductions: how many of the last loops are reductions.
            body: lines that make `%new` of `%in0`, `%in1` and `%out`.
        """
        dims = ", ".join(f"d{axis}" for axis in range(rank))
        listed = ", ".join(f"affine_map<({dims}) -> ({map_})>" for map_ in maps)
        iterators = ", ".join(['"parallel"'] * (rank - reductions) + ['"reduction"'] * reductions)
        scalars = ", ".join([f"%in{place}: f32" for place in range(len(self.names))] + ["%out: f32"])
        return (
            f"{self.before}    {self.result} = linalg.generic {{indexing_maps = [{listed}], iterator_types = "
            f"[{iterators}]}} ins({', '.join(self.names)} : {', '.join(self.types)}) outs({self.init} : {self.type}) "
            f"{{\n    ^bb0({scalars}):\n{body}      linalg.yield %new : f32\n    }} -> {self.type}\n{self.after}"
        )


Plant = Callable[[str, Any, np.random.Generator], str | None]
"""Gives a program's text with a fault, from the text, the spec, and a source of chance; None where it cannot."""


WITH_FAULTS = ("matmul", "conv2d", "pooling", "elementwise", "relu", "batch_matmul", "batch_matvec")
"""The families that faults are planted in; benchmarks/typed_programs.py has simpler ones for all."""


def faults_of(name: str, variant: Variant) -> list[tuple[str, Plant]]:
    """Return the faults that a variant can have, by kind; some kinds have several."""
    of_family: dict[str, list[tuple[str, Plant]]] = {
        **{family.name: _products(family.variants[0]) for family in contractions.FAMILIES},
        "conv2d": [*_WINDOWS, *_CONVOLUTIONS],
        "pooling": [*_WINDOWS, *(_MAXIMA if variant.kind == "max" else _AVERAGES)],
        "elementwise": [*_ELEMENTWISE, *_OTHER_ELEMENTWISE.get(variant.kind, [])],
        "relu": _RELU,
    }
    # In a vector there is no axis to exchange.
    return [(kind, fault) for kind, fault in of_family[name] if kind != "axis exchanged" or variant.rank != 1]


def _literal(before: str, *after: str) -> Plant:
    """Write another number for the first constant."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        return text.replace(f"arith.constant {before} ", f"arith.constant {generator.choice(after)} ", 1)

    return fault


def _other_operation(*names: str) -> Plant:
    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        return dataclasses.replace(Operation.of(text), operation=f"linalg.{generator.choice(names)}").text()

    return fault


def _swapped(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    operation = Operation.of(text)
    return dataclasses.replace(operation, names=operation.names[::-1], types=operation.types[::-1]).text()


def _repeated(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    operation = Operation.of(text)
    place = int(generator.integers(2))
    return operation.reading(place, operation.names[1 - place], operation.types[1 - place]).text()


def _transposed(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Exchange two axes of the same size of an operand."""
    operation = Operation.of(text)
    place = int(generator.integers(len(operation.names)))
    shape = _shape(operation.types[place])
    pairs = [(i, j) for i in range(len(shape)) for j in range(i) if shape[i] == shape[j] > 1]
    if not pairs or not operation.names[place][1].isalpha():
        return None
    first, second = pairs[generator.integers(len(pairs))]
    order = list(range(len(shape)))
    order[first], order[second] = second, first
    name, type_ = operation.names[place], operation.types[place]
    made_by = (
        f"    %room = tensor.empty() : {type_}\n    %turned = linalg.transpose ins({name} : {type_}) "
        f"outs(%room : {type_}) permutation = {order}\n"
    )
    return operation.reading(place, "%turned", type_, made_by).text()


def _shorter(*axes: int) -> Plant:
    """Leave out the last element along the given axis of each operand that has it: a loop that ends too early."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        operation = Operation.of(text)
        for place, axis in enumerate(axes):
            shape = _shape(operation.types[place])
            if shape[axis] < 2:
                return None
            made_by, type_ = _sliced(f"%part{place}", operation.names[place], operation.types[place], axis, 0)
            operation = operation.reading(place, f"%part{place}", type_, made_by)
        return operation.text()

    return fault


def _sliced(result: str, name: str, type_: str, axis: int, offset: int) -> tuple[str, str]:
    """Return the line that takes all but one element along an axis, and the type of what it gives."""
    shape = list(_shape(type_))
    axis %= len(shape)
    shape[axis] -= 1
    offsets = [offset if each == axis else 0 for each in range(len(shape))]
    sliced = tensor(tuple(shape), "f32").text
    ones = [1] * len(shape)
    return f"    {result} = tensor.extract_slice {name}{offsets} {shape} {ones} : {type_} to {sliced}\n", sliced


def _moved_window(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Let a window begin one element too late."""
    operation = Operation.of(text)
    made_by, type_ = _sliced("%moved", operation.names[0], operation.types[0], int(generator.integers(2, 4)), 1)
    return operation.reading(0, "%moved", type_, made_by).text()


def _other_window(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Let a pooling window have one element more or less on a side."""
    operation = Operation.of(text)
    kernel = list(_shape(operation.types[1]))
    kernel[generator.integers(2)] += int(generator.choice((-1, 1)))
    type_ = tensor(tuple(kernel), "f32").text
    return operation.reading(1, "%window", type_, f"    %window = tensor.empty() : {type_}\n").text()


def _filter_part(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Let a filter have a row or a column less."""
    operation = Operation.of(text)
    made_by, type_ = _sliced("%part", operation.names[1], operation.types[1], int(generator.integers(2, 4)), 0)
    return operation.reading(1, "%part", type_, made_by).text()


def _unlike(attribute: str) -> Plant:
    """Give one side another stride or dilation."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        pair = _pair(text, attribute)
        side = int(generator.integers(2))
        pair[side] = max(1, pair[side] + int(generator.choice((-1, 1))))
        return _with_pair(text, attribute, pair)

    return fault


def _sides_exchanged(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    attribute = str(generator.choice(("strides", "dilations")))
    return _with_pair(text, attribute, _pair(text, attribute)[::-1])


def _pair(text: str, attribute: str) -> list[int]:
    found = re.search(rf"{attribute} = dense<\[?(\d+)(?:, (\d+)\])?>", text)
    assert found is not None
    return [int(found[1]), int(found[2] or found[1])]


def _with_pair(text: str, attribute: str, pair: Sequence[int]) -> str:
    return re.sub(rf"{attribute} = dense<[^>]*>", f"{attribute} = dense<[{pair[0]}, {pair[1]}]>", text, count=1)


def _shape(type_: str) -> tuple[int, ...]:
    return tuple(int(extent) for extent in type_.removeprefix("tensor<").split("x")[:-1])


_MULTIPLY_ADD = "      %one = arith.{inner} %in0, %in1 : f32\n      %new = arith.{outer} %out, %one : f32\n"


def _products(variant: Variant) -> list[tuple[str, Plant]]:
    """Return the faults of a contraction; operands of different ranks cannot be exchanged."""
    notation = variant.operation.notation
    lhs, rhs = (operand.names for operand in notation.inputs)
    possible = [(kind, fault) for kind, fault in _PRODUCTS if kind != "operand swapped" or len(lhs) == len(rhs)]
    reduced = notation.reductions[-1]
    return [*possible, ("off by one", _shorter(lhs.index(reduced), rhs.index(reduced)))]


def _other_product(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Let a contraction add where it multiplies, or combine otherwise than by a sum."""
    places = {loop: f"d{place}" for place, loop in enumerate(spec.variant.operation.notation.loops)}
    notation = spec.variant.operation.notation
    maps = [", ".join(places[name] for name in operand.names) for operand in (*notation.inputs, notation.result)]
    inner, outer = (("addf", "addf"), ("mulf", "subf"), ("mulf", "maximumf"), ("subf", "addf"))[generator.integers(4)]
    body = _MULTIPLY_ADD.format(inner=inner, outer=outer)
    return Operation.of(text).as_generic(len(places), maps, len(notation.reductions), body)


def _other_convolution(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Let a convolution combine otherwise, or go through its filter backwards in one direction."""
    operation = Operation.of(text)
    (high, wide), (down, along) = _pair(text, "strides"), _pair(text, "dilations")
    row, column = f"d2 * {high} + d5 * {down}", f"d3 * {wide} + d6 * {along}"
    maps = [f"d0, d4, {row}, {column}", "d1, d4, d5, d6", "d0, d1, d2, d3"]
    inner, outer = (("addf", "addf"), ("mulf", "subf"), ("mulf", "maximumf"))[generator.integers(3)]
    return operation.as_generic(7, maps, 3, _MULTIPLY_ADD.format(inner=inner, outer=outer))


def _by_comparison(predicate: str, first: str, second: str) -> Plant:
    """Write the body of a relu as a comparison with zero and a choice."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        found = re.search(r"( +)(%\d+) = arith\.maximumf %in, (%\d+) : f32", text)
        assert found is not None
        space, result, zero = found.groups()
        chosen = [zero if each == "zero" else "%in" for each in (first, second)]
        lines = (
            f"{space}%is = arith.cmpf {predicate}, %in, {zero} : f32\n"
            f"{space}{result} = arith.select %is, {chosen[0]}, {chosen[1]} : f32"
        )
        return text[: found.start()] + lines + text[found.end() :]

    return fault


_CHOICE = "      %new = arith.select %is, %in0, %in1 : f32\n"


def _maximum_by_comparison(predicate: str) -> Plant:
    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        operation = Operation.of(text)
        rank = len(_shape(operation.type))
        identity = ", ".join(f"d{axis}" for axis in range(rank))
        body = (
            f"      %is = arith.cmpf {predicate}, %in0, %in1 : f32\n      %new = arith.select %is, %in0, %in1 : f32\n"
        )
        return operation.as_generic(rank, [identity] * 3, 0, body)

    return fault


def _in_relu(lines: str) -> Plant:
    """Write other lines for the one of a relu's body; `{result}`, `{zero}` and `{space}` stand for its own."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        found = re.search(r"( +)(%\d+) = arith\.maximumf %in, (%\d+) : f32", text)
        assert found is not None
        written = lines.format(space=found[1], result=found[2], zero=found[3])
        return text[: found.start()] + written + text[found.end() :]

    return fault


def _divisor(*terms: float) -> Plant:
    """Divide an average by another number: its own plus one of these."""

    def fault(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
        own = spec.fields["kernel_height"] * spec.fields["kernel_width"]
        other = own + generator.choice(terms)
        return text.replace(f"arith.constant {own}.0 ", f"arith.constant {other:.6f} ", 1) if other > 0 else None

    return fault


def _undivided(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    operation = Operation.of(text)
    return re.sub(r"return %\d+", f"return {operation.result}", text)


def _row_left_out(text: str, spec: Spec, generator: np.random.Generator) -> str | None:
    """Leave the last row of the result, or its last element, as one of the operands has it."""
    operation = Operation.of(text)
    shape = _shape(operation.type)
    offsets, sizes, ones = [shape[0] - 1, *[0] * (len(shape) - 1)], [1, *shape[1:]], [1] * len(shape)
    row = tensor(tuple(sizes), "f32").text
    window = f"{offsets} {sizes} {ones}"
    lines = (
        f"    %row = tensor.extract_slice {operation.names[0]}{window} : {operation.type} to {row}\n"
        f"    %partly = tensor.insert_slice %row into {operation.result}{window} : {row} into {operation.type}\n"
    )
    after = operation.after.replace(f"return {operation.result}", "return %partly")
    return dataclasses.replace(operation, after=lines + after).text()


_PRODUCTS: list[tuple[str, Plant]] = [
    ("operand swapped", _swapped),
    ("axis exchanged", _transposed),
    ("initial value", _literal("0.0", "1.0", "-1.0", "1.0e-3", "0xFF800000")),
    ("another operation", _other_product),
]
_WINDOWS: list[tuple[str, Plant]] = [
    ("stride", _unlike("strides")),
    ("dilation", _unlike("dilations")),
    ("axis exchanged", _sides_exchanged),
    ("axis exchanged", _transposed),
    ("off by one", _moved_window),
]
_CONVOLUTIONS: list[tuple[str, Plant]] = [
    ("initial value", _literal("0.0", "1.0", "-1.0", "1.0e-3", "0xFF800000")),
    ("another operation", _other_convolution),
    ("off by one", _filter_part),
    ("off by one", _shorter(1, 1)),
]
_MAXIMA: list[tuple[str, Plant]] = [
    ("initial value", _literal("0xFF800000", "0.0", "1.0", "-1.0", "-6.5504e4", "0x00800000", "0x7F800000")),
    ("another operation", _other_operation("pooling_nchw_sum")),
    ("off by one", _other_window),
]
_AVERAGES: list[tuple[str, Plant]] = [
    ("initial value", _literal("0.0", "1.0", "-1.0", "1.0e-3", "0xFF800000")),
    ("another operation", _other_operation("pooling_nchw_max")),
    ("off by one", _other_window),
    ("missing scale", _undivided),
    ("wrong scale", _divisor(-1, 1, 1e-3)),
]
_ELEMENTWISE: list[tuple[str, Plant]] = [
    ("operand repeated", _repeated),
    ("axis exchanged", _transposed),
    ("off by one", _row_left_out),
]
_OTHER_ELEMENTWISE: dict[str, list[tuple[str, Plant]]] = {
    "add": [("another operation", _other_operation("sub", "mul", "max"))],
    "mul": [("another operation", _other_operation("add", "div", "max"))],
    "max": [
        ("another operation", _other_operation("add", "mul")),
        ("maximum for minimum", _other_operation("min")),
        ("comparison", _maximum_by_comparison("oge")),
        ("comparison", _maximum_by_comparison("olt")),
    ],
}
_RELU: list[tuple[str, Plant]] = [
    ("initial value", _literal("0.0", "1.0", "-1.0", "1.0e-3")),
    ("maximum for minimum", _in_relu("{space}{result} = arith.minimumf %in, {zero} : f32")),
    ("comparison", _by_comparison("oge", "in", "zero")),
    ("comparison", _by_comparison("olt", "in", "zero")),
    ("comparison", _by_comparison("ogt", "in", "in")),
    ("another operation", _in_relu("{space}{result} = math.absf %in : f32")),
    (
        "another operation",  # up to 6
        _in_relu(
            "{space}%six = arith.constant 6.0 : f32\n{space}%low = arith.maximumf %in, {zero} : f32\n"
            "{space}{result} = arith.minimumf %low, %six : f32"
        ),
    ),
    (
        "another operation",  # a leaky one
        _in_relu(
            "{space}%slope = arith.constant 0.01 : f32\n{space}%less = arith.mulf %in, %slope : f32\n"
            "{space}{result} = arith.maximumf %in, %less : f32"
        ),
    ),
]
