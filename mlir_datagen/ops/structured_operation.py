"""A structured operation: all that follows from its line in a table, and its text in each form."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np

from mlir_datagen.mlir.builder import FunctionBuilder, Value, integers
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.body import NUMBER, Body, Constant
from mlir_datagen.ops.indexing import expressions, steps_along
from mlir_datagen.ops.lookup import read_elements
from mlir_datagen.ops.notation import Notation, read
from mlir_datagen.ops.scalars import OLDEST_MLIR, SCALARS

NAMED, GENERIC, CATEGORY = "named", "generic", "category"

FORMS = (NAMED, GENERIC, CATEGORY)
"""How an operation may be written: by its name, as the `linalg.generic` that it equals, or as one of a category
(`linalg.contract`, `linalg.elementwise`) that says which."""


class Versions(NamedTuple):
    """The oldest and the newest MLIR that parse something; None where no end is known."""

    oldest: int
    newest: int | None = None

    def both(self, other: Versions) -> Versions:
        """Return the versions that parse two things."""
        ends = [newest for newest in (self.newest, other.newest) if newest is not None]
        return Versions(max(self.oldest, other.oldest), min(ends, default=None))


class Category(NamedTuple):
    """A category operation: its text as far as the operands, with `{maps}` for its indexing maps."""

    text: str
    versions: Versions


@dataclass(frozen=True)
class StructuredOperation:
    """A structured operation.

    Attributes:
        name: what linalg calls it; None where it has no name for it.
        notation: what it reads and writes.
        body: what it computes.
        versions: the MLIR that knows the name.
        category: the category that it belongs to, if to any.
        casts: whether the named operation converts its operands to the element type of the result.
    """

    name: str | None
    notation: Notation
    body: Body
    versions: Versions
    category: Category | None = None
    casts: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.notation.line, self.notation.loops, self.body))

    def __reduce__(self) -> tuple[Any, ...]:
        # What is kept of it is another process's own: hashes of texts differ.
        loops = " ".join(self.notation.loops)
        return from_line, (self.name, self.notation.line, self.body, self.versions, self.category, loops, self.casts)

    @cached_property
    def label(self) -> str:
        """Its name, or where it has none what it computes: `max_number`, `sub_exp`, `reduce_add`."""
        if self.name is not None:
            return self.name
        if self.looks_up:
            return "_".join(["gather", *self.body.steps])
        reduces = ["reduce"] if self.body.accumulate is not None else []
        return "_".join([*reduces, *self.body.steps, *([NUMBER] if self.has_number else [])]) or "move"

    @property
    def steps(self) -> tuple[str, ...]:
        """The scalar operations of one point, in order."""
        return self.body.steps

    @property
    def has_body(self) -> bool:
        """Whether it says in every form, in MLIR's own words, what it computes."""
        return True

    @property
    def parts(self) -> Sequence[Any]:
        """The operations that it consists of, where it is not one `linalg.generic`."""
        return ()

    @property
    def coarsest(self) -> float:
        """The largest unit of rounding of the element types that its results are proven in.

        What is computed in a type of its own is converted to narrower ones by functions that a process need not have.
        """
        return ELEMENT_TYPES["f32"].unit if self.body.is_typed else 1.0

    @cached_property
    def has_number(self) -> bool:
        """Whether its body reads the program's number."""
        return self.body.has_number

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The sizes that its inputs do not say: of windows, what is repeated along, and the number of its body."""
        said = {name for names in self._argument_names for name in names}
        number = (NUMBER,) if self.has_number else ()
        return (*(name for name in self.notation.free if name not in said), *number)

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The names of all its sizes, but for the number of its body."""
        placed = [name for name, _ in self.notation.placed]
        return tuple(dict.fromkeys([*self.notation.free, *self.notation.loops, *placed]))

    @cached_property
    def looks_up(self) -> bool:
        """Whether what is read of an input follows from the contents of others."""
        return any(operand.is_looked_up for operand in self.notation.inputs)

    @cached_property
    def looked_up_by(self) -> dict[str, set[str]]:
        """By the letters of inputs the dimensions whose elements they number."""
        found: dict[str, set[str]] = {}
        for dimension in (each for operand in self.notation.inputs for each in operand.dimensions):
            if dimension.looked_up_by is not None:
                found.setdefault(dimension.looked_up_by, set()).add(dimension.name)
        return found

    def form(self, asked: str) -> str:
        """Return the form that it is written in where this one is asked for: not every operation has each."""
        if asked == CATEGORY and self.category is not None:
            return CATEGORY
        return GENERIC if asked == GENERIC or self.name is None else NAMED

    def versions_of(self, form: str, dtype: str) -> Versions:
        """Return the MLIR that parses it in a form that it has, where its result has an element type."""
        if form == NAMED and not self._names_scalar:
            return self.versions
        if form == CATEGORY:
            assert self.category is not None
            return self.category.versions
        return Versions(max((SCALARS[step].oldest_for(dtype) for step in self.steps), default=OLDEST_MLIR))

    def argument_shapes(self, sizes: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the shapes of the inputs that have contents."""
        return [tuple([sizes[name] for name in names]) for names in self._argument_names]

    def argument_dtypes(self, dtype: str) -> list[str]:
        """Return the element types of these where they have this one: what is selected by are truth values."""
        contents = [operand for operand in self.notation.inputs if operand.has_contents]
        return [
            "i1" if letter in self.body.conditions else operand.dtype or dtype
            for letter, operand in zip(string.ascii_lowercase, contents, strict=False)
        ]

    def result_shape(self, sizes: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the shape of the result."""
        return tuple([sizes[name] for name in self._result_names])

    def extents(self, sizes: Mapping[str, Any]) -> list[Any]:
        """Return the extents of the iteration space."""
        return [sizes[loop] for loop in self.notation.loops]

    def flops(self, sizes: Mapping[str, Any]) -> Any:
        """Return the number of arithmetic operations."""
        return self._flops * math.prod(self.extents(sizes))

    @cached_property
    def _flops(self) -> int:
        return self.body.flops

    def innermost_step(self, sizes: Mapping[str, Any]) -> Any:
        """Return how many elements the innermost reduction goes on in memory, in the operand where it goes farthest.

        Nothing is reduced: 1.
        """
        if not self.notation.reductions:
            return 1
        loop = self.notation.reductions[-1]
        steps = [step for operand in self.notation.inputs for step in steps_along(operand, loop, sizes)]
        return reduce(np.maximum, steps)

    @cached_property
    def iterators(self) -> tuple[str, ...]:
        """`parallel` or `reduction` for each dimension of the iteration space."""
        reductions = self.notation.reductions
        return tuple("reduction" if loop in reductions else "parallel" for loop in self.notation.loops)

    @cached_property
    def _argument_names(self) -> list[tuple[str, ...]]:
        return [operand.names for operand in self.notation.inputs if operand.has_contents]

    @cached_property
    def _result_names(self) -> tuple[str, ...]:
        return self.notation.result.names

    def sizes_of(self, shapes: Sequence[Sequence[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sizes that follow from the shapes of the inputs with contents, with those that are given."""
        sizes = dict(given)
        for names, shape in zip(self._argument_names, shapes, strict=True):
            sizes.update(zip(names, shape, strict=True))
        return self.notation.add_positions(sizes)

    @cached_property
    def always_fits(self) -> bool:
        """Whether it takes operands of any extents: no two of these must be equal, and all are its loops'."""
        names = [name for names in self._argument_names for name in names]
        return len(set(names)) == len(names) and not (self.notation.windows or self.notation.shifts)

    def indexing_maps(self, sizes: Mapping[str, int]) -> list[str]:
        """Return the affine maps of the operands, as MLIR's text."""
        return self._maps_without_windows or self._maps(sizes)

    @cached_property
    def _maps_without_windows(self) -> list[str]:
        return [] if self.notation.windows or self.notation.placed else self._maps({})

    def _maps(self, sizes: Mapping[str, int]) -> list[str]:
        places = {loop: f"d{index}" for index, loop in enumerate(self.notation.loops)}
        space = ", ".join(places.values())
        return [
            f"affine_map<({space}) -> ({', '.join(expressions(operand, places, sizes))})>"
            for operand in (*self.notation.inputs, self.notation.result)
            if not operand.is_looked_up
        ]

    def init(self, builder: FunctionBuilder, dtype: str, sizes: Mapping[str, int]) -> Value:
        """Emit what it writes into: what a reduction starts from, or a tensor without contents."""
        type_ = tensor(self.result_shape(sizes), dtype)
        return builder.empty(type_) if self.body.accumulate is None else builder.filled(self.body.start(dtype), type_)

    def apply(self, builder: FunctionBuilder, *inputs: Value, **given: int) -> Value:
        """Emit it on inputs whose shapes say its sizes, but for those that are given, such as strides."""
        return self.emit(builder, inputs, self.sizes_of([value.type.shape for value in inputs], given))

    def emit(
        self,
        builder: FunctionBuilder,
        inputs: Sequence[Value],
        sizes: Mapping[str, int],
        init: Value | None = None,
        dtype: str | None = None,
    ) -> Value:
        """Emit it in the builder's form; return its result.

        Args:
            builder: what it is emitted into.
            inputs: its inputs, without those of which only the shape counts.
            sizes: of all its dimensions, and the number of its body where it has one.
            init: what it writes into, where that is there already.
            dtype: the element type of the result; left out, that of the last input.
        """
        dtype = dtype or inputs[-1].type.dtype
        operands = self._operands(builder, inputs, sizes) if self._has_special_operands else inputs
        form = self.form(builder.form)
        scalars = self._scalars(builder, sizes, dtype) if form == GENERIC else []
        init = init or self.init(builder, dtype, sizes)
        if form == NAMED:
            return self._emit_named(builder, operands, init, sizes)
        if form == CATEGORY:
            assert self.category is not None
            text = self.category.text.format(maps=", ".join(self.indexing_maps(sizes)))
            return builder.structured(text, operands, init)
        return self._emit_generic(builder, operands, init, scalars, sizes)

    @cached_property
    def _has_special_operands(self) -> bool:
        return any(operand.is_scalar or not operand.has_contents for operand in self.notation.inputs)

    def _operands(self, builder: FunctionBuilder, inputs: Sequence[Value], sizes: Mapping[str, int]) -> list[Value]:
        """Return all inputs: a tensor without contents where only the shape counts, and scalars as such."""
        contents, dtype = iter(inputs), inputs[0].type.dtype
        return [
            (builder.element(next(contents)) if operand.is_scalar else next(contents))
            if operand.has_contents
            else builder.empty(tensor(tuple([sizes[name] for name in operand.names]), dtype))
            for operand in self.notation.inputs
        ]

    def _scalars(self, builder: FunctionBuilder, sizes: Mapping[str, Any], dtype: str) -> list[str]:
        typed = [
            one if isinstance(one, Constant) else Constant(self._number(one, sizes), dtype) for one in self.body.numbers
        ]
        return [builder.constant(*one) for one in typed]

    def _number(self, said: float | str, sizes: Mapping[str, Any]) -> Any:
        return said if isinstance(said, float) else sizes[NUMBER]

    def _emit_named(
        self, builder: FunctionBuilder, operands: Sequence[Value], init: Value, sizes: Mapping[str, int]
    ) -> Value:
        head = f"linalg.{self._head(init.type.dtype)}"
        return builder.structured(head, operands, init, self._attributes(sizes), self._tail)

    def _emit_generic(
        self,
        builder: FunctionBuilder,
        operands: Sequence[Value],
        init: Value,
        scalars: Sequence[str],
        sizes: Mapping[str, int],
    ) -> Value:
        pairs = list(zip(operands, self.notation.inputs, strict=True))
        captured = [operand.name for operand, access in pairs if access.is_looked_up]
        mapped = [operand for operand, access in pairs if not access.is_looked_up]

        def body(elements: Sequence[str], result: str) -> tuple[list[str], str]:
            lines, read = read_elements(self.notation, operands, elements, builder.fresh)
            named = (result, init.type.dtype)
            computing, computed = self.body.emit(read, scalars, named, builder.fresh, self.notation.loops)
            return [*lines, *computing], computed

        return builder.generic(self.indexing_maps(sizes), self.iterators, mapped, init, body, [*scalars, *captured])

    def _attributes(self, sizes: Mapping[str, int]) -> str:
        """Return the attributes of the named operation."""
        lists = [integers(tuple([sizes[name] for name in names])) for names in self.attribute_names]
        return ", ".join([f"{key} = {each}" for key, each in zip(("dilations", "strides"), lists, strict=False)])

    @property
    def _names_scalar(self) -> bool:
        """Whether the text of the named operation names the scalar operation of its body."""
        return self.name in ("reduce", "map")

    def _head(self, dtype: str) -> str:
        """Return the name, with the scalar operation where that is named beside it."""
        scalar = f" {{ {SCALARS[self.body.steps[0]].spelled(dtype)} }}" if self._names_scalar else ""
        return f"{self.name}{scalar}"

    @cached_property
    def _tail(self) -> str | None:
        """What stands behind the operands instead of the result's type, where it is not known by the name alone."""
        inputs, result = self.notation.inputs[0].names, self.notation.result.names
        if self.name == "broadcast":
            return f" dimensions = {[place for place, name in enumerate(result) if name not in inputs]}"
        if self.name == "reduce":
            return f" dimensions = {[place for place, name in enumerate(inputs) if name not in result]}"
        if self.name == "transpose":
            return f" permutation = {[inputs.index(name) for name in result]}"
        return "" if self.name == "map" else None

    @cached_property
    def attribute_names(self) -> tuple[tuple[str, ...], ...]:
        """The sizes that are attributes of the named operation: of windows the dilations, and the strides."""
        windows = [window for _, window in self.notation.windows]
        dilations = tuple(window.dilation for window in windows if window.dilation is not None)
        strides = tuple(window.stride for window in windows if window.stride is not None)
        return (dilations, strides) if strides else ()

    def equal_attributes(self, sizes: Mapping[str, int]) -> list[bool]:
        """Return for each of these whether its numbers are equal, so that it is written as one."""
        return [len({sizes[name] for name in names}) == 1 for names in self.attribute_names]


@lru_cache(maxsize=4096)
def from_line(
    name: str | None,
    line: str,
    body: Body,
    versions: Versions,
    category: Category | None = None,
    loops: str = "",
    casts: bool = False,
) -> StructuredOperation:
    """Return the operation of a line of a table."""
    return StructuredOperation(name, read(line, loops), body, versions, category, casts)


def unnamed(line: str, body: str, accumulate: str | None = None, loops: str = "") -> StructuredOperation:
    """Return the operation of a line that linalg has no name for."""
    return from_line(None, line, Body(body, accumulate), Versions(OLDEST_MLIR), loops=loops)


def versions_of(operations: Iterable[StructuredOperation], asked: str, dtype: str) -> Versions:
    """Return the MLIR that parses programs of some operations with results of a type where a form is asked for."""
    return _versions_of(frozenset(operations), asked, dtype)


@lru_cache(maxsize=4096)
def _versions_of(operations: frozenset[StructuredOperation], asked: str, dtype: str) -> Versions:
    each = (operation.versions_of(operation.form(asked), dtype) for operation in operations)
    return reduce(Versions.both, each, Versions(0))
