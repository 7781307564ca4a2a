"""What a module consists of, read through the bindings into plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch_mlir import ir
from torch_mlir.dialects import linalg

from mlir_datagen.mlir.linalg_operation import is_structured, plain_dimensions

DYNAMIC = -1
"""Stands for a dimension that is not static."""


@dataclass(frozen=True)
class TypeFacts:
    """The type of an argument or a result.

    Attributes:
        text: as MLIR prints it.
        shape: of a ranked tensor, `DYNAMIC` where a dimension is not static; None for any other type.
        element: the element type of a ranked tensor; of any other type, the type itself.
        element_bits: how wide such an element is; 0 when that is not known.
    """

    text: str
    shape: tuple[int, ...] | None
    element: str
    element_bits: int

    @property
    def is_static(self) -> bool:
        """Whether it is a ranked tensor of static shape."""
        return self.shape is not None and DYNAMIC not in self.shape

    @property
    def bytes(self) -> int:
        """The size of a ranked tensor of static shape; an element of unknown width counts as none."""
        return math.prod(self.shape or ()) * -(-self.element_bits // 8)


@dataclass(frozen=True)
class FunctionFacts:
    """A function of the module.

    Attributes:
        has_c_interface: whether it has the attribute `llvm.emit_c_interface`.
    """

    name: str
    has_body: bool
    has_c_interface: bool
    arguments: tuple[TypeFacts, ...]
    results: tuple[TypeFacts, ...]


@dataclass(frozen=True)
class LinalgFacts:
    """An operation of the linalg dialect that has, or should have, an iteration space.

    Attributes:
        name: such as `linalg.matmul`.
        loops: the number of its loops; None when it has no indexing maps, and so no loops.
        bounds: the size of each loop that is known, in no order.
        operands: the shapes of its inputs and inits, in order; a scalar has the shape ().
        inits: how many of the operands, the last ones, are inits.
        maps: the indexing maps, as MLIR prints them.
        strides, dilations: of a convolution or a pooling, else empty.
        tag: the attribute `tag`, if it is a string.
        is_relu: whether it is a `linalg.generic` that computes the maximum of each element and zero.
    """

    name: str
    loops: int | None
    bounds: tuple[int, ...]
    operands: tuple[tuple[int, ...], ...]
    inits: int
    maps: tuple[str, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    tag: str | None
    is_relu: bool


@dataclass(frozen=True)
class ModuleFacts:
    """A module.

    Attributes:
        functions: in order.
        linalg: the linalg operations of all functions, in order.
        dynamic: the operations that make a tensor whose shape is not static, each with its type.
        dialects: the dialects of all operations.
        has_elided_resource: whether the contents of a constant are left out of its text.
        clock_problem: why `@main` does not read the clock around its operations, or None.
    """

    functions: tuple[FunctionFacts, ...]
    linalg: tuple[LinalgFacts, ...]
    dynamic: tuple[tuple[str, str], ...]
    dialects: frozenset[str]
    has_elided_resource: bool
    clock_problem: str | None

    def function(self, name: str) -> FunctionFacts | None:
        """Return the function of a name."""
        return next((function for function in self.functions if function.name == name), None)


def module_facts(module: ir.Module, clock: str, main: str) -> ModuleFacts:
    """Read a module.

    Args:
        module: a verified module.
        clock: the name of the function that returns the time.
        main: the name of the function that is timed.
    """
    operations = list(walk(module.operation))
    functions = [operation for operation in operations if operation.name == "func.func"]
    timed = next((function for function in functions if _symbol(function) == main), None)
    return ModuleFacts(
        functions=tuple(_function(function) for function in functions),
        linalg=tuple(_linalg(operation) for operation in operations if is_structured(operation)),
        dynamic=tuple(dict.fromkeys(found for operation in operations for found in _dynamic(operation))),
        dialects=frozenset(operation.name.split(".")[0] for operation in operations),
        has_elided_resource=any(_is_elided(operation) for operation in operations),
        clock_problem=None if timed is None else _clock_problem(timed, clock),
    )


def walk(root: ir.Operation) -> Iterator[ir.Operation]:
    """Yield an operation and all that it contains, each before its contents."""
    found: list[ir.Operation] = []

    def look(operation: ir.Operation) -> ir.WalkResult:
        found.append(operation.operation)
        return ir.WalkResult.ADVANCE

    root.walk(look, ir.WalkOrder.PRE_ORDER)
    yield from found


def maker(value: ir.Value) -> ir.Operation | None:
    """Return the operation that makes a value; None for an argument of a block."""
    return None if isinstance(value.owner, ir.Block) else value.owner.operation


def type_facts(type_: ir.Type) -> TypeFacts:
    """Read a type."""
    if not isinstance(type_, ir.RankedTensorType):
        return TypeFacts(str(type_), None, str(type_), element_bits(type_))
    return TypeFacts(str(type_), _shape(type_), str(type_.element_type), element_bits(type_.element_type))


def element_bits(type_: ir.Type) -> int:
    """Return how wide an element of a type is; 0 for what is no number."""
    if isinstance(type_, ir.ComplexType):
        return 2 * element_bits(type_.element_type)
    if isinstance(type_, ir.IndexType):
        return 64
    return int(type_.width) if isinstance(type_, (ir.IntegerType, ir.FloatType)) else 0


def init_count(operation: ir.Operation) -> int:
    """Return how many operands, the last ones, a linalg operation writes its results into."""
    segments = _attribute(operation, "operandSegmentSizes")
    if isinstance(segments, ir.DenseI32ArrayAttr):
        return int(segments[len(segments) - 1])
    return len(operation.results) or 1


def _function(operation: ir.Operation) -> FunctionFacts:
    type_ = ir.FunctionType(ir.TypeAttr(operation.attributes["function_type"]).value)
    return FunctionFacts(
        name=_symbol(operation),
        has_body=len(operation.regions[0].blocks) > 0,
        has_c_interface="llvm.emit_c_interface" in operation.attributes,
        arguments=tuple(type_facts(argument) for argument in type_.inputs),
        results=tuple(type_facts(result) for result in type_.results),
    )


def _dynamic(operation: ir.Operation) -> Iterator[tuple[str, str]]:
    for result in operation.results:
        type_ = result.type
        if isinstance(type_, ir.ShapedType) and not (type_.has_rank and type_.has_static_shape):
            yield operation.name, str(type_)


def _linalg(operation: ir.Operation) -> LinalgFacts:
    maps = linalg.get_indexing_maps(operation)
    affine = [] if maps is None else [ir.AffineMapAttr(map_).value for map_ in maps]
    shapes = tuple(_shape(operand.type) for operand in operation.operands)
    tag = _attribute(operation, "tag")
    return LinalgFacts(
        name=operation.name,
        loops=affine[0].n_dims if affine else None,
        bounds=_bounds(affine, shapes),
        operands=shapes,
        inits=init_count(operation),
        maps=tuple(str(map_) for map_ in affine),
        strides=_numbers(_attribute(operation, "strides")),
        dilations=_numbers(_attribute(operation, "dilations")),
        tag=tag.value if isinstance(tag, ir.StringAttr) else None,
        is_relu=is_relu(operation),
    )


def _bounds(maps: Sequence[ir.AffineMap], shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    # A scalar has a map without results.
    found = {
        loop: shape[axis]
        for map_, shape in zip(maps, shapes, strict=False)
        for axis, loop in plain_dimensions(map_).items()
    }
    return tuple(bound for bound in found.values() if bound != DYNAMIC)


def is_relu(operation: ir.Operation) -> bool:
    """Tell whether it is a `linalg.generic` whose body is max(x, 0): as one operation, or a comparison and a choice."""
    if operation.name != "linalg.generic" or len(operation.operands) != 2:
        return False
    block = operation.regions[0].blocks[0]
    argument = block.arguments[0]
    names = [inner.operation.name for inner in block.operations]
    first = block.operations[0].operation
    if names == ["arith.maximumf", "linalg.yield"]:
        one, other = first.operands
        return (one == argument and _is_zero(other)) or (other == argument and _is_zero(one))
    if names != ["arith.cmpf", "arith.select", "linalg.yield"]:
        return False
    # Greater, ordered or not: what PyTorch's relu becomes.
    is_greater = ir.IntegerAttr(first.attributes["predicate"]).value in (2, 9)
    _, chosen, otherwise = block.operations[1].operation.operands
    return (
        is_greater
        and first.operands[0] == argument
        and chosen == argument
        and _is_zero(first.operands[1])
        and _is_zero(otherwise)
    )


def _is_zero(value: ir.Value) -> bool:
    operation = maker(value)
    if operation is None or operation.name != "arith.constant":
        return False
    constant = operation.attributes["value"]
    return isinstance(constant, ir.FloatAttr) and constant.value == 0.0


def _clock_problem(main: ir.Operation, clock: str) -> str | None:
    """Say why a function does not return, last, the time between two readings with all linalg operations between."""
    if len(main.regions[0].blocks) != 1:
        return "its body is not one block, so that what runs between the two readings of the clock is not known"
    operations = [operation.operation for operation in main.regions[0].blocks[0].operations]
    readings = [place for place, operation in enumerate(operations) if _is_call(operation, clock)]
    if len(readings) != 2:
        return f"it reads the clock (@{clock}) {len(readings)} times at the top level of its body, instead of twice"
    work = [place for place, operation in enumerate(operations) if any(map(is_structured, walk(operation)))]
    if not work:
        return "it has no linalg operation of its own between the two readings of the clock"
    if any(not readings[0] < place < readings[1] for place in work):
        return "a linalg operation is not between the two readings of the clock, so that its time does not count"
    begin, end = (operations[place].results[0] for place in readings)
    returned = list(operations[-1].operands)
    elapsed = maker(returned[-1]) if returned else None
    if elapsed is None or elapsed.name != "arith.subi":
        return "its last result is not the difference of the two readings of the clock"
    if list(elapsed.operands) != [end, begin]:
        return "its last result is not the second reading of the clock less the first"
    return None


def _is_call(operation: ir.Operation, name: str) -> bool:
    callee = _attribute(operation, "callee")
    return operation.name == "func.call" and isinstance(callee, ir.FlatSymbolRefAttr) and callee.value == name


def _is_elided(operation: ir.Operation) -> bool:
    names = [named if isinstance(named, str) else named.name for named in operation.attributes]
    # The bindings have no class for these attributes; their text is the name of the resource and the type.
    return any(str(operation.attributes[name]).startswith("dense_resource<__elided__>") for name in names)


def _attribute(operation: ir.Operation, name: str) -> Any:
    return operation.attributes.get(name)


def _symbol(operation: ir.Operation) -> str:
    return str(ir.StringAttr(operation.attributes["sym_name"]).value)


def _shape(type_: ir.Type) -> tuple[int, ...]:
    if not isinstance(type_, ir.ShapedType) or not type_.has_rank:
        return ()
    shaped = ir.ShapedType(type_)
    return tuple(DYNAMIC if shaped.is_dynamic_dim(axis) else shaped.get_dim_size(axis) for axis in range(shaped.rank))


def _numbers(attribute: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in attribute) if isinstance(attribute, ir.DenseIntElementsAttr) else ()
