"""Building the text of one function, value by value.

The builder numbers the SSA values and closes the regions, so an emitter cannot name a value that does not exist. Text
is made instead of bindings' objects because it is several times faster and does not follow one MLIR version's
printer; the parser proves it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from mlir_datagen.mlir.element_types import literal
from mlir_datagen.mlir.types import TensorType, scalar

BodyText = Callable[[Sequence[str], str], tuple[Sequence[str], str]]


class Value(NamedTuple):
    """An SSA value that holds a tensor, or an element of one: its name with the percent sign, and its type."""

    name: str
    type: TensorType


_Operation = tuple[str, Sequence[str], str]
"""An operation in the text: its result's name, the names that it reads, and its lines."""


class FunctionBuilder:
    """Collects the operations of one `func.func` over tensors, which the emitters add in order.

    Attributes:
        next: the number of the next value.

    Args:
        name: of the function.
        arguments: their names and types.
        form: the form in which structured operations are written, where they have it.
        shares: whether equal constants are one, which keeps a text with many of them small.
        first: the number of the first value.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[tuple[str, TensorType]] = (),
        form: str = "named",
        shares: bool = False,
        first: int = 0,
    ) -> None:
        self.name, self.form, self.next = name, form, first
        self.arguments = [Value(f"%{argument}", type_) for argument, type_ in arguments]
        self._operations: list[_Operation] = []
        self._shares = shares
        self._scalars: dict[tuple[str, str], str] = {}
        self._known: dict[tuple[object, ...], Value] = {}

    def fresh(self) -> str:
        """Return the next name of a value."""
        name = f"%{self.next}"
        self.next += 1
        return name

    def operation(self, text: str, type_: TensorType, *operands: str, name: str | None = None) -> Value:
        """Emit an operation.

        Args:
            text: what follows the equals sign.
            type_: of its result.
            operands: the names that it reads.
            name: its result's, where that was taken before.
        """
        if name is None:
            name = f"%{self.next}"
            self.next += 1
        self._operations.append((name, operands, f"    {name} = {text}"))
        return Value(name, type_)

    def once(self, key: tuple[object, ...], make: Callable[[], Value]) -> Value:
        """Return what was made for a key before, where equal values are shared; make it otherwise."""
        if not self._shares:
            return make()
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def constant(self, number: float, dtype: str) -> str:
        """Emit a scalar constant; return its SSA name."""
        text = literal(number, dtype)
        if self._shares and (text, dtype) in self._scalars:
            return self._scalars[text, dtype]
        name = self._scalars[text, dtype] = self.fresh()
        # MLIR knows what true and false are.
        written = text if dtype == "i1" else f"{text} : {dtype}"
        self._operations.append((name, (), f"    {name} = arith.constant {written}"))
        return name

    def empty(self, type_: TensorType) -> Value:
        """Emit `tensor.empty`: a shape whose elements must not be read. Each is one of its own, to be written into."""
        return self.operation(f"tensor.empty() : {type_.text}", type_)

    def filled(self, number: float, type_: TensorType) -> Value:
        """Emit a tensor with every element set to the number: what a reduction starts from."""
        scalar, init = self.constant(number, type_.dtype), self.empty(type_)
        operands = f"ins({scalar} : {type_.dtype}) outs({init.name} : {type_.text})"
        return self.operation(f"linalg.fill {operands} -> {type_.text}", type_, scalar, init.name)

    def element(self, value: Value) -> Value:
        """Emit the element of a tensor without dimensions, as a scalar."""
        return self.operation(
            f"tensor.extract {value.name}[] : {value.type.text}", scalar(value.type.dtype), value.name
        )

    def structured(
        self, operation: str, inputs: Sequence[Value], init: Value, attributes: str = "", tail: str | None = None
    ) -> Value:
        """Emit a linalg operation in destination-passing style; its result has the type of `init`.

        Args:
            operation: its name.
            inputs: what it reads.
            init: what it writes into.
            attributes: what stands before the operands.
            tail: what stands behind them, where that is not the result's type.
        """
        braces = f" {{{attributes}}}" if attributes else ""
        names = [value.name for value in inputs]
        types = ", ".join([value.type.text for value in inputs])
        result = init.type.text
        tail = f" -> {result}" if tail is None else tail
        text = f"{operation}{braces} ins({', '.join(names)} : {types}) outs({init.name} : {result}){tail}"
        return self.operation(text, init.type, *names, init.name)

    def generic(
        self,
        maps: Sequence[str],
        iterators: Sequence[str],
        inputs: Sequence[Value],
        init: Value,
        body: BodyText,
        scalars: Sequence[str] = (),
    ) -> Value:
        """Emit a `linalg.generic`; its result has the type of `init`.

        Args:
            maps: the indexing maps of the inputs and the result.
            iterators: `parallel` or `reduction` for each dimension of the iteration space.
            inputs: what it reads.
            init: what it writes into.
            body: from the names of the elements that are read, and of the result's, its lines and what it yields.
            scalars: the names of constants that the body reads.
        """
        name, type_ = self.fresh(), init.type
        elements = [f"%in_{index - 1}" if index else "%in" for index in range(len(inputs))]
        lines, computed = body(elements, "%out")
        arguments = [f"{element}: {value.type.dtype}" for element, value in zip(elements, inputs, strict=True)]
        arguments.append(f"%out: {type_.dtype}")
        quoted = ", ".join([f'"{iterator}"' for iterator in iterators])
        names = [value.name for value in inputs]
        types = ", ".join([value.type.text for value in inputs])
        written = "".join([f"      {line}\n" for line in lines])
        text = (
            f"linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{quoted}]}}"
            f" ins({', '.join(names)} : {types}) outs({init.name} : {type_.text}) {{\n"
            f"    ^bb0({', '.join(arguments)}):\n"
            f"{written}"
            f"      linalg.yield {computed} : {type_.dtype}\n"
            f"    }} -> {type_.text}"
        )
        return self.operation(text, type_, *names, init.name, *scalars, name=name)

    @property
    def lines(self) -> str:
        """The text of its operations so far."""
        return "\n".join([text for _, _, text in self._operations])

    def finish_network(self, arguments: Sequence[Value], results: Sequence[Value]) -> str:
        """Return the module's text, with the function taking these arguments and returning these results.

        What no result needs is left out.
        """
        parameters = ", ".join([f"{value.name}: {value.type.text}" for value in arguments])
        names = ", ".join([value.name for value in results])
        types = ", ".join([value.type.text for value in results])
        body = "\n".join([*self._needed(results), f"    return {names} : {types}" if results else "    return"])
        return f"module {{\n  func.func @{self.name}({parameters}) -> ({types}) {{\n{body}\n  }}\n}}\n"

    def _needed(self, results: Sequence[Value]) -> list[str]:
        """Return the texts of the operations that the results depend on, in order."""
        needed = {value.name for value in results}
        texts: list[str] = []
        for name, operands, text in reversed(self._operations):
            if name in needed:
                needed.update(operands)
                texts.append(text)
        return texts[::-1]


def module_text(name: str, arguments: Sequence[Value], lines: str, results: Sequence[Value]) -> str:
    """Return the text of a module with one function.

    Args:
        name: of the function.
        arguments: what it takes.
        lines: its operations.
        results: what it returns.
    """
    parameters = ", ".join([f"{name}: {type_.text}" for name, type_ in arguments])
    names = ", ".join([value.name for value in results])
    types = ", ".join([value.type.text for value in results])
    given = types if len(results) == 1 else f"({types})"
    return (
        f"module {{\n  func.func @{name}({parameters}) -> {given} {{\n{lines}\n    return {names} : {types}\n  }}\n}}\n"
    )


@lru_cache(maxsize=1024)
def integers(values: tuple[int, ...]) -> str:
    """Return the attribute that is a list of whole numbers."""
    elements = str(values[0]) if len(set(values)) == 1 else f"[{', '.join(map(str, values))}]"
    return f"dense<{elements}> : tensor<{len(values)}xi64>"
