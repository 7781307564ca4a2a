"""Building the text of one function, value by value.

The builder numbers the SSA values and closes the regions, so an emitter cannot name a value that does not exist. Text
is made instead of bindings' objects because it is several times faster and does not follow one MLIR version's
printer; the parser proves it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlir_datagen.mlir.element_types import literal
from mlir_datagen.mlir.types import TensorType

Body = Callable[[Sequence[str], str], tuple[Sequence[str], str]]


class Value(NamedTuple):
    """An SSA value that holds a tensor: its name with the percent sign, and its type."""

    name: str
    type: TensorType


class FunctionBuilder:
    """Collects the operations of one `func.func` over tensors.

    The emitters call the methods below in order; `finish` returns the text of a whole module.

    Args:
        name: of the function.
        arguments: their names and types.
        form: the form in which structured operations are written, where they have it.
    """

    def __init__(self, name: str, arguments: Sequence[tuple[str, TensorType]], form: str = "named") -> None:
        self.name, self.form = name, form
        self.arguments = [Value(f"%{argument}", type_) for argument, type_ in arguments]
        self._lines: list[str] = []
        self._next = 0

    def fresh(self) -> str:
        """Return the next name of a value."""
        name = f"%{self._next}"
        self._next += 1
        return name

    def constant(self, number: float, dtype: str) -> str:
        """Emit a scalar constant; return its SSA name."""
        name = self.fresh()
        text = literal(number, dtype)
        # MLIR knows what true and false are.
        self._lines.append(f"    {name} = arith.constant {text if dtype == 'i1' else f'{text} : {dtype}'}")
        return name

    def empty(self, type_: TensorType) -> Value:
        """Emit `tensor.empty`: a shape whose elements must not be read."""
        name = self.fresh()
        self._lines.append(f"    {name} = tensor.empty() : {type_.text}")
        return Value(name, type_)

    def filled(self, number: float, type_: TensorType) -> Value:
        """Emit a tensor with every element set to the number: what a reduction starts from."""
        return self.fill(self.constant(number, type_.dtype), self.empty(type_))

    def fill(self, scalar: str, init: Value) -> Value:
        """Emit `linalg.fill` of a scalar, given by its SSA name."""
        type_ = init.type
        name = self.fresh()
        self._lines.append(
            f"    {name} = linalg.fill ins({scalar} : {type_.dtype}) outs({init.name} : {type_.text}) -> {type_.text}"
        )
        return Value(name, type_)

    def structured(self, operation: str, inputs: Sequence[Value], init: Value, attributes: str = "") -> Value:
        """Emit a named linalg operation in destination-passing style; its result has the type of `init`."""
        name = self.fresh()
        braces = f" {{{attributes}}}" if attributes else ""
        names = ", ".join([value.name for value in inputs])
        types = ", ".join([value.type.text for value in inputs])
        result = init.type.text
        self._lines.append(
            f"    {name} = {operation}{braces} ins({names} : {types}) outs({init.name} : {result}) -> {result}"
        )
        return Value(name, init.type)

    def generic(
        self, maps: Sequence[str], iterators: Sequence[str], inputs: Sequence[Value], init: Value, body: Body
    ) -> Value:
        """Emit a `linalg.generic`; its result has the type of `init`.

        Args:
            maps: the indexing maps of the inputs and the result.
            iterators: `parallel` or `reduction` for each dimension of the iteration space.
            inputs: what it reads.
            init: what it writes into.
            body: from the names of the elements that are read, and of the result's, its lines and what it yields.
        """
        name, type_ = self.fresh(), init.type
        elements = [f"%in_{index - 1}" if index else "%in" for index in range(len(inputs))]
        lines, computed = body(elements, "%out")
        arguments = [f"{element}: {value.type.dtype}" for element, value in zip(elements, inputs, strict=True)]
        arguments.append(f"%out: {type_.dtype}")
        quoted = ", ".join([f'"{iterator}"' for iterator in iterators])
        names = ", ".join([value.name for value in inputs])
        types = ", ".join([value.type.text for value in inputs])
        written = "".join([f"      {line}\n" for line in lines])
        self._lines.append(
            f"    {name} = linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{quoted}]}}"
            f" ins({names} : {types}) outs({init.name} : {type_.text}) {{\n"
            f"    ^bb0({', '.join(arguments)}):\n"
            f"{written}"
            f"      linalg.yield {computed} : {type_.dtype}\n"
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


def integers(values: Sequence[int]) -> str:
    """Return the attribute that is a list of whole numbers."""
    elements = str(values[0]) if len(set(values)) == 1 else str(list(values))
    return f"dense<{elements}> : tensor<{len(values)}xi64>"
