"""Building the text of one function, value by value.

The builder numbers the SSA values and closes the regions, so an emitter cannot name a value that does not exist. Text
is made instead of bindings' objects because it is several times faster and does not follow one MLIR version's
printer; the parser proves it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlir_datagen.mlir.element_types import literal
from mlir_datagen.mlir.types import TensorType


class Value(NamedTuple):
    """An SSA value that holds a tensor: its name with the percent sign, and its type."""

    name: str
    type: TensorType


class FunctionBuilder:
    """Collects the operations of one `func.func` over tensors.

    The emitters call the methods below in order; `finish` returns the text of a whole module.
    """

    def __init__(self, name: str, arguments: Sequence[tuple[str, TensorType]]) -> None:
        self.name = name
        self.arguments = [Value(f"%{argument}", type_) for argument, type_ in arguments]
        self._lines: list[str] = []
        self._next = 0

    def _fresh(self) -> str:
        name = f"%{self._next}"
        self._next += 1
        return name

    def constant(self, number: float, dtype: str) -> str:
        """Emit a scalar constant; return its SSA name."""
        name = self._fresh()
        text = literal(number, dtype)
        # MLIR knows what true and false are.
        self._lines.append(f"    {name} = arith.constant {text if dtype == 'i1' else f'{text} : {dtype}'}")
        return name

    def empty(self, type_: TensorType) -> Value:
        """Emit `tensor.empty`: a shape whose elements must not be read."""
        name = self._fresh()
        self._lines.append(f"    {name} = tensor.empty() : {type_.text}")
        return Value(name, type_)

    def filled(self, number: float, type_: TensorType) -> Value:
        """Emit a tensor with every element set to the number: what a reduction starts from."""
        return self.fill(self.constant(number, type_.dtype), self.empty(type_))

    def fill(self, scalar: str, init: Value) -> Value:
        """Emit `linalg.fill` of a scalar, given by its SSA name."""
        type_ = init.type
        name = self._fresh()
        self._lines.append(
            f"    {name} = linalg.fill ins({scalar} : {type_.dtype}) outs({init.name} : {type_.text}) -> {type_.text}"
        )
        return Value(name, type_)

    def structured(self, operation: str, inputs: Sequence[Value], init: Value, attributes: str = "") -> Value:
        """Emit a named linalg operation in destination-passing style; its result has the type of `init`."""
        name = self._fresh()
        braces = f" {{{attributes}}}" if attributes else ""
        names = ", ".join([value.name for value in inputs])
        types = ", ".join([value.type.text for value in inputs])
        result = init.type.text
        self._lines.append(
            f"    {name} = {operation}{braces} ins({names} : {types}) outs({init.name} : {result}) -> {result}"
        )
        return Value(name, init.type)

    def divide_by_constant(self, dividend: Value, divisor: float) -> Value:
        """Emit an elementwise division by a scalar."""
        return self.combine_with_constant("arith.divf", dividend, divisor)

    def combine_with_constant(self, operation: str, value: Value, number: float) -> Value:
        """Emit an operation of each element and a scalar as `linalg.generic` (no named operation takes a scalar)."""
        type_ = value.type
        rank = len(type_.shape)
        scalar = self.constant(number, type_.dtype)
        init = self.empty(type_)
        dims = ", ".join([f"d{axis}" for axis in range(rank)])
        identity = f"affine_map<({dims}) -> ({dims})>"
        parallel = ", ".join(['"parallel"'] * rank)
        name, combined = self._fresh(), self._fresh()
        self._lines.append(
            f"    {name} = linalg.generic {{indexing_maps = [{identity}, {identity}], iterator_types = [{parallel}]}}"
            f" ins({value.name} : {type_.text}) outs({init.name} : {type_.text}) {{\n"
            f"    ^bb0(%in: {type_.dtype}, %out: {type_.dtype}):\n"
            f"      {combined} = {operation} %in, {scalar} : {type_.dtype}\n"
            f"      linalg.yield {combined} : {type_.dtype}\n"
            f"    }} -> {type_.text}"
        )
        return Value(name, type_)

    def finish(self, result: Value) -> str:
        """Return the module's text, with the function returning `result`."""
        arguments = ", ".join([f"{value.name}: {value.type.text}" for value in self.arguments])
        body = "\n".join(self._lines)
        return (
            f"module {{\n  func.func @{self.name}({arguments}) -> {result.type.text} {{\n{body}\n"
            f"    return {result.name} : {result.type.text}\n  }}\n}}\n"
        )


def strides_and_dilations(strides: tuple[int, int], dilations: tuple[int, int]) -> str:
    """Return the attributes that every convolution-like linalg operation takes."""
    return f"dilations = {_pair(dilations)}, strides = {_pair(strides)}"


def _pair(values: tuple[int, int]) -> str:
    elements = str(values[0]) if values[0] == values[1] else f"[{values[0]}, {values[1]}]"
    return f"dense<{elements}> : tensor<2xi64>"
