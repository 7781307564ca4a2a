"""A hash of what a program computes, the same however it is written.

Two programs have the same hash when they do the same operations on the same operands. What makes no difference:

- names (of the module, the function, the values), locations, and attributes that are no part of an operation, as a tag;
- the order of operations that do not depend on each other, and whether an initial value (`tensor.empty`, a constant, a
  tensor with one scalar everywhere) is shared or repeated, made by `linalg.fill`, by a `linalg.generic` or as a
  constant;
- whether a linalg operation is written by its name or as the `linalg.generic` that it stands for: both have the same
  indexing maps, iterators and body;
- operands whose elements are not read, but for their types: the `outs` of an elementwise operation may be a
  `tensor.empty`, a filled tensor or an argument of the function; an argument that nothing reads does not count;
- operations in a body that do not reach its result, and run-time checks (`cf.assert`) there.

Everything else does: operations, types and shapes, indexing maps (so strides, dilations and layouts), the order of
loops, initial values that are read, constants, which operand feeds what, the order of arguments and results, and how
often a computation is repeated. A constant that MLIR stores as a resource counts by its type only, a call by the name
of the function, and an operation without a body, as `linalg.softmax`, by its own.

Only programs on tensors have a hash: on buffers the order of operations makes a difference, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from torch_mlir import ir
from torch_mlir.dialects import linalg

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.linalg_operation import (
    body,
    filled_scalar,
    is_fill,
    is_structured,
    iterators,
    needed_operations,
    parse_module,
    reads,
    refuse_buffer,
)
from mlir_datagen.mlir.parse import PROGRAMS_PER_CONTEXT
from mlir_datagen.mlir.single_op_program import strip

_LONG = 200
"""The text of a longer constant goes into an identity as a digest, as identities are printed often."""


def structural_hash(text: str, context: ir.Context) -> str:
    """Return the hash of a program, 64 hexadecimal digits.

    Raises:
        UserError: when the text is not valid MLIR, or has branches or buffers.
    """
    return StructuralHasher().hash(parse_module(text, context))


class ProgramHasher:
    """Hashes the texts of any number of programs."""

    def __init__(self) -> None:
        self._left = 0

    def hash(self, text: str) -> str:
        """Return the hash of a program.

        Raises:
            UserError: as `structural_hash`.
        """
        module = self._parse(text)
        return self._hasher.hash(module)

    def hashes(self, text: str) -> list[str]:
        """Return the hash of a program and, if it is a single-op program, that of its operation alone.

        The second is the same for programs that differ in the initial value, which an export may leave to the caller,
        or in how a relu is written.

        Raises:
            UserError: as `structural_hash`.
        """
        module = self._parse(text)
        whole = self._hasher.hash(module)
        return [whole, self._hasher.hash(module)] if strip(module) else [whole]

    def _parse(self, text: str) -> ir.Module:
        if self._left == 0:
            self._context, self._hasher, self._left = ir.Context(), StructuralHasher(), PROGRAMS_PER_CONTEXT
        self._left -= 1
        return parse_module(text, self._context)


class StructuralHasher:
    """Hashes many programs of one context: it keeps the text of every type and attribute it has seen.

    So does the context, which should not be kept longer than the hasher.
    """

    def __init__(self) -> None:
        self._texts: dict[object, str] = {}

    def hash(self, module: ir.Module) -> str:
        """Return the hash of a parsed program: of its functions that have a body, in order; 64 hexadecimal digits.

        Raises:
            UserError: when it has branches or buffers.
        """
        functions = []
        for view in module.body.operations:
            operation = view.operation
            if operation.name == "func.func" and len(operation.regions[0].blocks):
                functions.append(_FunctionHasher(self._texts).function(operation))
        return _digest(functions)


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _FunctionHasher:
    """Gives each value of a function an identity: a digest of the operation that makes it and of what that reads."""

    def __init__(self, texts: dict[object, str]) -> None:
        self._texts = texts
        self._identities: dict[ir.Value, object] = {}
        self._depth = 0

    def function(self, function: ir.Operation) -> str:
        block = _only_block(function.regions[0], function)
        read = [argument for argument in block.arguments if _is_read(argument)]
        for index, argument in enumerate(read):
            self._identities[argument] = ("argument", index)
        types = [self._text(argument.type) for argument in read]
        return _digest([types, self._block(block)])

    def _text(self, printable: ir.Attribute | ir.Type) -> str:
        """Print a type or an attribute; each only once, as printing takes longer than all else here."""
        text = self._texts.get(printable)
        if text is None:
            if isinstance(printable, ir.Type):
                refuse_buffer(printable)
            text = self._texts[printable] = str(printable)
        return text

    def _label(self, block: ir.Block) -> list[str]:
        """Give the arguments of a nested block an identity, and return their types."""
        for index, argument in enumerate(block.arguments):
            self._identities.setdefault(argument, ("inner", self._depth, index))
        return [self._text(argument.type) for argument in block.arguments]

    def _block(self, block: ir.Block, operations: Iterable[ir.Operation] | None = None) -> object:
        """Return what a block's terminator gets and, in no order, what else it does.

        Repeated operations stay: the same computation twice costs more than once.
        """
        *inner, terminator = [view.operation for view in block.operations]
        done = []
        for operation in inner if operations is None else operations:
            identity = self._operation(operation)
            if identity is not None:
                done.append(identity)
        return self._operation(terminator), sorted(done)

    def _operation(self, operation: ir.Operation) -> str | None:
        """Give the results of an operation their identities, and return its own; None for an initial value."""
        results = list(operation.results)
        types = [self._text(result.type) for result in results]
        name = operation.name
        if name == "arith.constant":
            self._identities[results[0]] = self._constant(operation.attributes["value"], types[0])
            return None
        is_linalg = is_structured(operation) and len(operation.regions)
        if is_linalg and is_fill(operation):
            self._identities[results[0]] = self._filled(operation, types[0])
            return None
        identity = _digest([self._structured(operation) if is_linalg else self._other(operation), types])
        for index, result in enumerate(results):
            self._identities[result] = (identity, index)
        return None if name == "tensor.empty" else identity

    def _constant(self, value: ir.Attribute, type_: str) -> object:
        if isinstance(value, ir.DenseElementsAttr):
            if value.is_splat:
                return "filled", ("constant", self._text(value.get_splat_value())), type_
        elif isinstance(value.type, ir.ShapedType):
            return "resource", type_
        text = self._text(value)
        return "constant", text if len(text) < _LONG else _digest([text])

    def _filled(self, operation: ir.Operation, type_: str) -> object:
        if operation.name != "linalg.fill":
            for needed in needed_operations(body(operation)):
                self._operation(needed)
        return "filled", self._identities[filled_scalar(operation)], type_

    def _structured(self, operation: ir.Operation) -> Sequence[object]:
        block = body(operation)
        self._depth += 1
        self._label(block)
        computed = self._block(block, needed_operations(block))
        self._depth -= 1
        operands = [
            (self._text(operand.type), self._identities[operand] if is_read else None)
            for operand, is_read in zip(operation.operands, reads(operation), strict=True)
        ]
        return ["linalg", self._text(linalg.get_indexing_maps(operation)), operands, iterators(operation), computed]

    def _other(self, operation: ir.Operation) -> Sequence[object]:
        attributes = [(name, self._text(value)) for name, value in _inherent_attributes(operation)]
        operands = [self._identities[operand] for operand in operation.operands]
        regions = []
        self._depth += 1
        for region in operation.regions:
            if len(region.blocks):
                block = _only_block(region, operation)
                regions.append((self._label(block), self._block(block)))
        self._depth -= 1
        return [operation.name, attributes, operands, regions]


def _only_block(region: ir.Region, operation: ir.Operation) -> ir.Block:
    if len(region.blocks) != 1:
        raise UserError(
            f"{operation.name} has {len(region.blocks)} blocks; only programs without branches are allowed."
        )
    return region.blocks[0]


def _is_read(argument: ir.BlockArgument) -> bool:
    for use in argument.uses:
        owner = use.owner.operation
        if not is_structured(owner) or reads(owner)[use.operand_number]:
            return True
    return False


def _inherent_attributes(operation: ir.Operation) -> list[tuple[str, ir.Attribute]]:
    """Return the attributes that the operation's definition names, sorted; of an unknown operation, all."""
    attributes = operation.attributes
    names = sorted(attributes)
    if names:
        kind = type(operation.opview)
        if kind is not ir.OpView:
            known = attribute_names(kind)
            # Python's bindings add an underscore to names that are words of the language.
            names = [name for name in names if name in known or f"{name}_" in known or name == "operandSegmentSizes"]
    return [(name, attributes[name]) for name in names]


def attribute_names(kind: type[ir.OpView]) -> set[str]:
    """Return names among which are those of the attributes that an operation's definition has.

    The bindings extend some of the classes that are made from the definitions by classes of their own.
    """
    defined = [parent for parent in kind.__mro__ if issubclass(parent, ir.OpView) and parent is not ir.OpView]
    return {name for parent in defined for name in vars(parent)}
