"""Building the text of a whole network's function: what `FunctionBuilder` has, and what networks need beyond it.

Constants and tensors filled with one number are made once and shared by their readers, which keeps the text small.
Every operation that writes gets a `tensor.empty` of its own, so that each stands alone for whoever transforms it.
What no result needs is left out of the text.
All forms are those that MLIR 19 and LLVM's current main branch both read and lower.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.element_types import dense, is_float, literal
from mlir_datagen.mlir.reassociation import collapse_then_expand
from mlir_datagen.mlir.types import TensorType, tensor
from mlir_datagen.ops.scalars import SCALARS, conversion

# What PyTorch calls a reduction, and what its scalar operation is called here.
_REDUCTIONS = {"sum": "add", "product": "mul", "max": "max", "min": "min"}
_COMPARISONS = {
    # Predicates of arith.cmpf (ordered, but for the unequal one), and of arith.cmpi for signed integers and for i1.
    "eq": (1, 0, 0),
    "ne": (13, 1, 1),
    "gt": (2, 4, 8),
    "ge": (3, 5, 9),
    "lt": (4, 2, 6),
    "le": (5, 3, 7),
}


class Coordinate(NamedTuple):
    """Where `NetworkBuilder.gather` reads along one dimension of its source.

    Attributes:
        indices: integers to look up, or None to take the position in the result.
        dims: for each dimension of `indices` the dimension of the result that it follows, None for a dimension of
            size 1 that is broadcast; without indices the one dimension of the result.
        wraps: whether negative indices count from the end.
    """

    indices: Value | None
    dims: tuple[int | None, ...]
    wraps: bool = False


class NetworkBuilder(FunctionBuilder):
    """A builder with all that networks need, whose arguments may turn up while it is used; equal constants are one."""

    def __init__(self, name: str) -> None:
        super().__init__(name, shares=True)
        self._names: set[str] = set()
        self._reshaped_from: dict[str, Value] = {}

    def argument(self, name: str, type_: TensorType) -> Value:
        """Make an argument; the name is changed where MLIR does not allow it or it is taken."""
        cleaned = re.sub(r"[^A-Za-z0-9_.$-]", "_", name)
        if not cleaned or cleaned[0].isdigit():
            cleaned = f"arg.{cleaned}"
        unique, count = cleaned, 0
        while unique in self._names:
            count += 1
            unique = f"{cleaned}.{count}"
        self._names.add(unique)
        return Value(f"%{unique}", type_)

    def full(self, number: float, type_: TensorType) -> Value:
        """Return a tensor with every element equal to a number, to be read only: it is shared.

        A single element is a constant: a `linalg.fill` without loops is nothing to schedule, and MLIR-RL reads none.
        """
        if not type_.shape:
            return self.dense(f"dense<{literal(number, type_.dtype)}>", type_)
        key = ("full", literal(number, type_.dtype), type_.text)
        return self.once(key, lambda: self.filled(number, type_))

    def dense(self, attribute: str, type_: TensorType) -> Value:
        """Return a constant tensor from the text of a dense attribute, such as `dense<[1, 2]>`; it is shared."""
        key = ("dense", attribute, type_.text)
        return self.once(key, lambda: self.operation(f"arith.constant {attribute} : {type_.text}", type_))

    def iota(self, length: int, dtype: str = "i64", start: float = 0, step: float = 1) -> Value:
        """Return start, start + step, … as a constant of one dimension."""
        return self.dense(dense([start + step * i for i in range(length)], dtype), tensor((length,), dtype))

    def map(self, operation: str, *operands: Value, dtype: str | None = None) -> Value:
        """Apply a scalar operation such as `math.sin` to operands of one shape, as `linalg.map`."""
        result = tensor(operands[0].type.shape, dtype or operands[0].type.dtype)
        init = self.empty(result)
        names = [value.name for value in operands]
        types = ", ".join([value.type.text for value in operands])
        text = f"linalg.map {{ {operation} }} ins({', '.join(names)} : {types}) outs({init.name} : {result.text})"
        return self.operation(text, result, *names, init.name)

    def compare(self, kind: str, lhs: Value, rhs: Value) -> Value:
        """Compare two tensors of one type; `kind` is eq, ne, lt, le, gt or ge, the result's elements are i1."""
        operation = "arith.cmpf" if is_float(lhs.type.dtype) else "arith.cmpi"
        predicate = _COMPARISONS[kind][_column(lhs.type.dtype)]
        return self.map(f"{operation} {{predicate = {predicate} : i64}}", lhs, rhs, dtype="i1")

    def cast(self, value: Value, dtype: str) -> Value:
        """Convert the elements as PyTorch does: towards zero to integers, and to i1 whatever is not zero."""
        source = value.type.dtype
        if source == dtype:
            return value
        if dtype == "i1":
            return self.compare("ne", value, self.full(0, value.type))
        return self.map(conversion(source, dtype), value, dtype=dtype)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Give the same elements, in row-major order, another shape."""
        shape = tuple(shape)
        value = self._reshaped_from.get(value.name, value)
        if shape == value.type.shape:
            return value
        if 0 in shape:
            return self.empty(tensor(shape, value.type.dtype))
        reshaped = self.once(("reshape", value.name, shape), lambda: self._reshaped(value, shape))
        self._reshaped_from[reshaped.name] = value
        return reshaped

    def _reshaped(self, value: Value, shape: tuple[int, ...]) -> Value:
        middle, collapsed, expanded = collapse_then_expand(value.type.shape, shape)
        if collapsed is not None:
            type_ = tensor(middle, value.type.dtype)
            text = f"tensor.collapse_shape {value.name} {collapsed} : {value.type.text} into {type_.text}"
            value = self.operation(text, type_, value.name)
        if expanded is not None:
            type_ = tensor(shape, value.type.dtype)
            groups = f"{expanded} output_shape {list(shape)}"
            text = f"tensor.expand_shape {value.name} {groups} : {value.type.text} into {type_.text}"
            value = self.operation(text, type_, value.name)
        return value

    def transpose(self, value: Value, permutation: Sequence[int]) -> Value:
        """Reorder dimensions: dimension i of the result is dimension `permutation[i]` of the value."""
        permutation = list(permutation)
        if permutation == sorted(permutation):
            return value
        type_ = tensor(tuple(value.type.shape[axis] for axis in permutation), value.type.dtype)
        return self._moved("transpose", value, self.empty(type_), f"permutation = {permutation}")

    def broadcast(self, value: Value, shape: Sequence[int]) -> Value:
        """Repeat a value along new leading dimensions and those of size 1, as PyTorch's `expand`."""
        shape = tuple(shape)
        if shape == value.type.shape:
            return value
        return self.once(("broadcast", value.name, shape), lambda: self._broadcast(value, shape))

    def _broadcast(self, value: Value, shape: tuple[int, ...]) -> Value:
        missing = len(shape) - len(value.type.shape)
        own = (*(None,) * missing, *value.type.shape)
        added = [axis for axis, (extent, source) in enumerate(zip(shape, own, strict=True)) if extent != source]
        kept = self.reshape(value, [extent for axis, extent in enumerate(shape) if axis not in added])
        init = self.empty(tensor(shape, value.type.dtype))
        return self._moved("broadcast", kept, init, f"dimensions = {added}") if added else kept

    def _moved(self, operation: str, value: Value, init: Value, attribute: str) -> Value:
        operands = f"ins({value.name} : {value.type.text}) outs({init.name} : {init.type.text})"
        return self.operation(f"linalg.{operation} {operands} {attribute}", init.type, value.name, init.name)

    def reduce(self, kind: str, value: Value, axes: Sequence[int], keep: bool = False) -> Value:
        """Reduce over dimensions; `kind` is sum, product, max or min. `keep` leaves them with size 1."""
        rank, dtype = len(value.type.shape), value.type.dtype
        reduced = sorted({axis % rank for axis in axes})
        scalar = SCALARS[_REDUCTIONS[kind]]
        kept = tensor(tuple(n for axis, n in enumerate(value.type.shape) if axis not in reduced), dtype)
        init = self.filled(scalar.start_of(dtype), kept)
        result = self._moved(f"reduce {{ {scalar.spelled(dtype)} }}", value, init, f"dimensions = {reduced}")
        if not keep:
            return result
        return self.reshape(result, [1 if axis in reduced else n for axis, n in enumerate(value.type.shape)])

    def slice(
        self, value: Value, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int] | None = None
    ) -> Value:
        """Take every `strides`-th element from `offsets`, `sizes` many along each dimension."""
        if tuple(sizes) == value.type.shape:
            return value
        type_ = tensor(tuple(sizes), value.type.dtype)
        # An empty window may begin at the end, which MLIR takes to be outside.
        offsets = [offset if size else 0 for offset, size in zip(offsets, sizes, strict=True)]
        window = f"{offsets} {list(sizes)} {list(strides or [1] * len(sizes))}"
        text = f"tensor.extract_slice {value.name}{window} : {value.type.text} to {type_.text}"
        return self.operation(text, type_, value.name)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """Join values along a dimension, as one `tensor.insert_slice` each."""
        extents = [value.type.shape[axis] for value in values]
        shape = list(values[0].type.shape)
        shape[axis] = sum(extents)
        joined = self.empty(tensor(tuple(shape), values[0].type.dtype))
        for index, value in enumerate(values):
            offsets = [0] * len(shape)
            offsets[axis] = sum(extents[:index])
            joined = self.insert(value, joined, offsets)
        return joined

    def insert(self, value: Value, into: Value, offsets: Sequence[int], strides: Sequence[int] | None = None) -> Value:
        """Return `into` with the value's elements in place of every `strides`-th from `offsets`."""
        if 0 in value.type.shape:
            return into
        rank = len(offsets)
        window = f"{list(offsets)} {list(value.type.shape)} {list(strides or [1] * rank)}"
        types = f"{value.type.text} into {into.type.text}"
        text = f"tensor.insert_slice {value.name} into {into.name}{window} : {types}"
        return self.operation(text, into.type, value.name, into.name)

    def pad(self, value: Value, low: Sequence[int], high: Sequence[int], number: float = 0) -> Value:
        """Add so many elements with a constant value before and after each dimension; none may be negative."""
        if not any((*low, *high)):
            return value
        dtype = value.type.dtype
        sides = zip(low, value.type.shape, high, strict=True)
        type_ = tensor(tuple(before + extent + after for before, extent, after in sides), dtype)
        if 0 in value.type.shape:
            return self.full(number, type_)
        scalar = self.constant(number, dtype)
        indices = ", ".join([f"{self.fresh()}: index" for _ in low])
        text = (
            f"tensor.pad {value.name} low{list(low)} high{list(high)} {{\n    ^bb0({indices}):\n"
            f"      tensor.yield {scalar} : {dtype}\n    }} : {value.type.text} to {type_.text}"
        )
        return self.operation(text, type_, value.name, scalar)

    def gather(self, source: Value, coordinates: Sequence[Coordinate], shape: Sequence[int]) -> Value:
        """Read the source at one coordinate for each of its dimensions, as `linalg.generic`: no named operation does.

        Args:
            source: what is read.
            coordinates: one for each dimension of the source.
            shape: of the result.
        """
        result = tensor(tuple(shape), source.type.dtype)
        looked_up = [coordinate for coordinate in coordinates if coordinate.indices is not None]
        body: list[str] = []
        places: list[str] = []
        scalars: list[str] = []
        for coordinate, extent in zip(coordinates, source.type.shape, strict=True):
            places.append(self._position(coordinate, extent, body, scalars))
        init = self.empty(result)
        element, unused = self.fresh(), self.fresh()
        inputs = [coordinate.indices for coordinate in looked_up if coordinate.indices is not None]
        arguments = [f"{scalar}: {value.type.dtype}" for scalar, value in zip(scalars, inputs, strict=True)]
        dims = [f"d{axis}" for axis in range(len(result.shape))]
        results = [[dims[dim] if dim is not None else "0" for dim in coordinate.dims] for coordinate in looked_up]
        maps = ", ".join([f"affine_map<({', '.join(dims)}) -> ({', '.join(each)})>" for each in (*results, dims)])
        parallel = ", ".join(['"parallel"'] * len(dims))
        names = ", ".join([value.name for value in inputs])
        types = ", ".join([value.type.text for value in inputs])
        text = (
            f"linalg.generic {{indexing_maps = [{maps}], iterator_types = [{parallel}]}}"
            f" ins({names} : {types}) outs({init.name} : {result.text}) {{\n"
            f"    ^bb0({', '.join([*arguments, f'{unused}: {result.dtype}'])}):\n{''.join(body)}"
            f"      {element} = tensor.extract {source.name}[{', '.join(places)}] : {source.type.text}\n"
            f"      linalg.yield {element} : {result.dtype}\n    }} -> {result.text}"
        )
        read = [source.name, init.name, *[value.name for value in inputs], *self._scalars.values()]
        return self.operation(text, result, *read)

    def _position(self, coordinate: Coordinate, extent: int, body: list[str], scalars: list[str]) -> str:
        """Write to the body how a coordinate becomes an index; return the index's name."""
        position = self.fresh()
        if coordinate.indices is None:
            body.append(f"      {position} = linalg.index {coordinate.dims[0]} : index\n")
            return position
        dtype = coordinate.indices.type.dtype
        scalar = self.fresh()
        scalars.append(scalar)
        if coordinate.wraps:
            zero, size = self.constant(0, dtype), self.constant(extent, dtype)
            negative, moved, scalar_in = self.fresh(), self.fresh(), scalar
            scalar = self.fresh()
            body.append(f"      {negative} = arith.cmpi slt, {scalar_in}, {zero} : {dtype}\n")
            body.append(f"      {moved} = arith.addi {scalar_in}, {size} : {dtype}\n")
            body.append(f"      {scalar} = arith.select {negative}, {moved}, {scalar_in} : {dtype}\n")
        body.append(f"      {position} = arith.index_cast {scalar} : {dtype} to index\n")
        return position

    def copy(self, value: Value) -> Value:
        """Return the same elements in a tensor of their own."""
        return self.structured("linalg.copy", (value,), self.empty(value.type))


def _column(dtype: str) -> int:
    """Return where `_COMPARISONS` has what an element type takes: float, integer or i1."""
    return 0 if is_float(dtype) else 2 if dtype == "i1" else 1
