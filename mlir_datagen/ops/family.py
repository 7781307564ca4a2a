"""What an op family is: the one interface through which the rest of the project knows an op.

A family is the programs of one or several structured operations over grids of dimensions. What its operations are is
in the tables of the files beside this one; a family says what the axes of its grids are called, which points are
programs, and what shows a wrong one.

A **spec** is one program: a variant, its dimensions and an element type. Every function here that takes a spec also
takes one whose dimensions are numpy arrays, and then answers for all its points at once. So the shapes and costs that
an emitter, the limits on a grid and the columns of the index use are one piece of code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.errors import listed, shown
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, as_held, as_tensor, is_float
from mlir_datagen.mlir.signature import Operand
from mlir_datagen.ops.body import NUMBER
from mlir_datagen.ops.dtypes import DEFAULT, DEFAULT_INTEGER, of_operands, of_result, words_of
from mlir_datagen.ops.graph import Graph, GraphText, Node
from mlir_datagen.ops.node_text import FIRST_MARK, Pattern, in_rows, row_differences
from mlir_datagen.ops.program_family import LARGEST_TOLERANCE, AnyFamily, HeldAgainst, largest
from mlir_datagen.ops.structured_operation import NAMED, StructuredOperation, Versions, versions_of

LARGE = float(1 << 20)
"""The products of so large numbers add up without rounding in double precision."""


class Constraint(NamedTuple):
    """A condition on grid points, and how to say that no point fulfils it."""

    holds: Any
    if_never: str


class NotOfFamily(ValueError):
    """A spec that is none of a family's programs: why, as the end of a sentence."""


class Variant(NamedTuple):
    """The programs of a family that have the same text but for numbers: one kind, rank, set of axes, element type.

    Attributes:
        kind: which of the family's operations; of a family with one, what its layouts are, or its form.
        operation: the main operation.
        sizes: the names of the operation's sizes that its dimensions are, in order.
        axes: what a grid calls them.
        rank: the rank, where the family has several.
        says_kind: whether a spec names its kind, which is part of its content: to change it moves programs to other
            splits. The families with one kind began without.
        then: elementwise operations that follow, each on what the one before computes.
        dtype: the element types, one of `words`.
        only_floats: whether integers would be another operation, as of an average, which rounds, or linalg has none.
    """

    kind: str
    operation: StructuredOperation
    sizes: tuple[str, ...]
    axes: tuple[str, ...]
    rank: int | None
    says_kind: bool
    then: tuple[StructuredOperation, ...] = ()
    dtype: str = DEFAULT
    only_floats: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The element types that it may have."""
        return words_of((self.operation, *self.then), self.only_floats)

    def of(self, word: str) -> Variant:
        """Return the variant with other element types."""
        return self._replace(dtype=word)

    @property
    def argument_dtypes(self) -> list[str]:
        """The element types of its operands with contents."""
        return self.operation.argument_dtypes(of_operands(self.dtype))

    @property
    def result_dtype(self) -> str:
        """The element type of what it computes."""
        return of_result(self.dtype)

    @property
    def operations(self) -> tuple[StructuredOperation, ...]:
        """The operations of its programs, the main one first."""
        return (self.operation, *self.then)

    def versions(self, asked: str) -> Versions:
        """Return the MLIR that parses its programs where a form is asked for."""
        return versions_of(self.operations, asked, self.result_dtype)

    @property
    def name(self) -> str:
        """The kind, with the rank where the family has several, and the element types where they are not f32."""
        rank = [] if self.rank is None else [f"{self.rank}d"]
        return "_".join([self.kind, *rank, *([] if self.dtype == DEFAULT else [self.dtype])])


class Spec(NamedTuple):
    """A program, or with arrays as dimensions a column of them: one dimension for each of the variant's axes."""

    variant: Variant
    dimensions: tuple[Any, ...]

    @property
    def dtype(self) -> str:
        """The word for its element types."""
        return self.variant.dtype

    @property
    def kind(self) -> str:
        """The variant's kind."""
        return self.variant.kind

    @property
    def words(self) -> tuple[str, ...]:
        """What it is but for its dimensions: its kind, where that does not go without saying, and its element type."""
        return (self.kind, self.dtype) if self.variant.says_kind else (self.dtype,)

    @property
    def fields(self) -> dict[str, Any]:
        """What its JSON says; the dimensions of a family with several ranks are one field, `shape`."""
        kind = {"kind": self.kind} if self.variant.says_kind else {}
        has_shape = self.variant.rank is not None
        dimensions = (
            {"shape": self.dimensions} if has_shape else dict(zip(self.variant.axes, self.dimensions, strict=True))
        )
        return {**kind, **dimensions, "dtype": self.dtype}

    @property
    def sizes(self) -> dict[str, Any]:
        """All sizes of the main operation."""
        given = dict(zip(self.variant.sizes, self.dimensions, strict=True))
        return self.variant.operation.notation.add_positions(given)


class OpFamily(AnyFamily):
    """One op family: the programs of each of its variants are one operation.

    Args:
        name: of the family, and of the function in its programs.
        variants: its variants, each once, whatever element types it may have.
        arguments: what the operands with contents are called in the programs.
        result: what the result is called.
    """

    def __init__(self, name: str, variants: Sequence[Variant], arguments: Sequence[str], result: str) -> None:
        self.name = name
        self.variants = tuple(one if one.dtype in one.words else one.of(DEFAULT_INTEGER) for one in variants)
        self._argument_names, self._result_name = arguments, result
        self._texts: dict[tuple[object, ...], GraphText] = {}

    def __reduce__(self) -> tuple[Callable[[str], OpFamily], tuple[str]]:
        # By name, as other processes have the tables, too.
        return _family, (self.name,)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, in the order of the variants."""
        return tuple(dict.fromkeys(variant.kind for variant in self.variants))

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The ranks, where the family has programs of several; otherwise empty."""
        return tuple(dict.fromkeys(variant.rank for variant in self.variants if variant.rank is not None))

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The names of all grid axes of all variants."""
        return tuple(dict.fromkeys(axis for variant in self.variants for axis in variant.axes))

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The words for the element types that any of its variants may have."""
        return tuple(dict.fromkeys(word for variant in self.variants for word in variant.words))

    @property
    def default_dtype(self) -> str:
        """The one that is meant where none is given."""
        return self.variants[0].dtype

    def _allowed_words(self, dtypes: Sequence[str]) -> str:
        """Return what must hold for the words of a spec, as the end of a sentence."""
        return f"its kind must be one of {listed(self.kinds)}, and its dtype one of {listed(dtypes)}"

    def spec(self, variant: Variant, *dimensions: Any) -> Spec:
        """Make the spec of a point: one dimension for each of `variant.axes`, in that order."""
        return Spec(variant, dimensions)

    def spec_from_json(self, fields: Mapping[str, Any]) -> Spec:
        """Make the spec again from the parsed JSON of a row's `spec` column.

        Raises:
            TypeError: when the fields are not those of a spec.
            NotOfFamily: when it has the fields, and is none of the family's variants.
        """
        if not isinstance(fields, Mapping):
            raise TypeError("it is no object with fields")
        expected = self._fields
        missing = [field for field in expected if field not in fields and field != "dtype"]
        unknown = [field for field in fields if field not in expected]
        if missing or unknown:
            what = f"it lacks {missing[0]!r}" if missing else f"it has no field {unknown[0]!r}"
            raise TypeError(f"{what}; its fields are {', '.join(expected)}")
        kind, shape = fields.get("kind", self.kinds[0]), fields.get("shape", ())
        if kind not in self.kinds:
            raise NotOfFamily(self._allowed_words(self.dtypes))
        if not isinstance(shape, (list, tuple)):
            raise NotOfFamily(f"shape is {shown(shape)}, and must be a list of dimensions")
        variant = self._variant_of.get((kind, len(shape) if self.ranks else None))
        if variant is None:
            ranks = [str(rank) for other, rank in self._variant_of if other == kind]
            raise NotOfFamily(f"it must have {listed(ranks)} dimensions")
        word = fields.get("dtype", variant.dtype)
        if word not in variant.words:
            raise NotOfFamily(self._allowed_words(variant.words))
        dimensions = tuple(shape if self.ranks else (fields[axis] for axis in variant.axes))
        for axis, value in zip(variant.axes, dimensions, strict=True):
            if isinstance(value, str):
                what = "a dimension" if self.ranks else axis
                raise NotOfFamily(f"{what} is {shown(value)}, and must be a whole number above 0")
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise NotOfFamily("its dimensions must be whole numbers of at least 1")
        return Spec(variant.of(word), dimensions)

    def problem(self, spec: Spec) -> str | None:
        """Say why a spec that comes from elsewhere is none of the family's, or return None."""
        return next((constraint.if_never for constraint in self.constraints(spec) if not constraint.holds), None)

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        """Return what must hold for a point to be a program; nothing, unless a family says otherwise."""
        return ()

    def number(self, sizes: Mapping[str, Any]) -> Any:
        """Return the number that operations of a program read whose body has one.

        Args:
            sizes: of the main operation.
        """
        raise NotImplementedError

    def nodes(self, spec: Spec) -> tuple[Node, ...]:
        """Return the operations of a program: the main operation first, on the arguments, then those that follow."""
        variant, sizes, dtype = spec.variant, spec.sizes, spec.variant.result_dtype
        operation = variant.operation
        if operation.has_number:
            sizes[NUMBER] = self.number(sizes)
        count = len(self._argument_names)
        nodes = [Node(operation, tuple(range(count)), sizes, dtype)]
        for place, operation in enumerate(variant.then, count):
            followed = dict(zip(operation.notation.loops, nodes[-1].result_shape, strict=True))
            if operation.has_number:
                followed[NUMBER] = self.number(sizes)
            nodes.append(Node(operation, (place,), followed, dtype))
        return tuple(nodes)

    def main_operation(self, spec: Spec) -> StructuredOperation:
        """Return the main operation of a program."""
        return spec.variant.operation

    def versions(self, spec: Spec, asked: str) -> Versions:
        """Return the MLIR that parses a program where a form is asked for."""
        return spec.variant.versions(asked)

    def graph(self, spec: Spec) -> Graph:
        """Return the program of a spec, or with columns as dimensions all of them at once."""
        nodes = self.nodes(spec)
        shapes = nodes[0].operation.argument_shapes(nodes[0].sizes)
        arguments = tuple(map(Operand, self._argument_names, shapes, spec.variant.argument_dtypes))
        return Graph(self.name, arguments, nodes, {len(arguments) + len(nodes) - 1: self._result_name})

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Return the range of random arguments in which a wrong program shows.

        Integers are as large as their type holds, or the reference: arithmetic in a narrower type shows then.
        """
        return (-1.0, 1.0) if is_float(of_operands(spec.dtype)) else (-LARGE, LARGE)

    def input_ranges(self, spec: Spec) -> Sequence[tuple[float, float]]:
        """Return that range for each of the arguments."""
        return [self.input_range(spec)] * len(self._argument_names)

    def reference_result(self, spec: Spec, arguments: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Return what `pytorch` computes in double precision, from and to numpy arrays."""
        operands = self.graph(spec).arguments
        tensors = [as_tensor(one, operand.dtype).double() for one, operand in zip(arguments, operands, strict=True)]
        result: NDArray[np.float64] = self.pytorch(spec)(*tensors).numpy()
        return result

    def tolerance(self, spec: Spec) -> float:
        """Return the largest error that rounding explains, relative to what is added up for an element.

        Adding K products one after the other has a rounding error that grows like the square root of K for values of
        both signs (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 2.8); eight times that is
        allowed, and never so much that zeros would pass. Integers, and elements that are only moved, have to be equal.
        """
        graph = self.graph(spec)
        if graph.flops == 0:
            return 0.0
        reduced = graph.nodes[graph.main].reduced
        return min(8 * ELEMENT_TYPES[spec.variant.result_dtype].unit * (1 + math.sqrt(reduced)), LARGEST_TOLERANCE)

    def held_against(self, spec: Spec, arguments: Sequence[NDArray[Any]]) -> list[HeldAgainst]:
        """Return what the result is compared with."""

        def added_up() -> float:
            return largest(self.reference_result(spec, [np.asarray(np.abs(one)) for one in arguments]))

        reference = as_held(self.reference_result(spec, arguments), spec.variant.result_dtype)
        return [HeldAgainst(reference, self.tolerance(spec), added_up)]

    def baseline_seconds(self, spec: Spec) -> Any:
        """Estimate how long one call of the program takes as plain loops."""
        graph = self.graph(spec)
        return graph.node_seconds(graph.main, graph.bytes_moved)

    def program(self, spec: Spec, form: str = NAMED) -> str:
        """Return the text of a program, of numbers as dimensions."""
        (text,) = self.programs(spec, [form])
        return text

    def programs(self, spec: Spec, forms: Sequence[str]) -> list[str]:
        """Return what the text of each graph of a column of them is, faster: there are many of each structure.

        Args:
            spec: with a column of as many programs as there are forms as each dimension, or a number for all.
            forms: in which each is written.
        """
        variant, nodes, rows = spec.variant, self.nodes(spec), len(forms)
        columns = [in_rows(node.sizes[name], rows) for node in nodes for name in node.operation.sizes]
        different = [row_differences(node.operation, node.sizes, rows) for node in nodes]
        texts = []
        structures = zip(forms, *different, strict=True)
        for row, (structure, sizes) in enumerate(zip(structures, zip(*columns, strict=True), strict=True)):
            key = (variant.kind, variant.rank, variant.dtype, structure)
            text = self._texts.get(key)
            if text is None:
                own = Spec(variant, tuple(in_rows(dimension, rows)[row] for dimension in spec.dimensions))
                text = self._texts[key] = GraphText(self.graph(own), forms[row])
            texts.append(text.filled(sizes))
        return texts

    def specs_json(self, spec: Spec, rows: int) -> list[str]:
        """Return the JSON of each spec of a column of them, as `spec_json` writes it.

        Args:
            spec: with columns of so many programs as dimensions.
            rows: how many they are.
        """
        marks = range(FIRST_MARK, FIRST_MARK + len(spec.dimensions))
        pattern = Pattern(orjson.dumps(Spec(spec.variant, tuple(marks)).fields).decode())
        columns = [in_rows(dimension, rows) for dimension in spec.dimensions]
        return list(map(pattern.filled, zip(*columns, strict=True)))

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        """The fields of a spec's JSON."""
        kind = ("kind",) if self.variants[0].says_kind else ()
        return (*kind, *(("shape",) if self.ranks else self.axes), "dtype")

    @cached_property
    def _variant_of(self) -> dict[tuple[str, int | None], Variant]:
        return {(variant.kind, variant.rank): variant for variant in self.variants}


def _family(name: str) -> OpFamily:
    from mlir_datagen.ops import FAMILIES

    return FAMILIES[name]
