"""What a structured linalg operation says of itself: its iteration space, its body, and which operands it reads.

Everything is asked of the indexing maps and the body, never of the operation's name, so that a named operation and the
`linalg.generic` that it stands for are the same thing to all who use this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch_mlir import ir
from torch_mlir.dialects import linalg

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.parse import first_diagnostic
from mlir_datagen.mlir.signature import Loop

_INSIDE_A_BODY = ("linalg.yield", "linalg.index")


def parse_module(text: str, context: ir.Context) -> ir.Module:
    """Parse and verify text that comes from elsewhere.

    Raises:
        UserError: when it is not valid MLIR, with the line, the column and MLIR's first message.
    """
    try:
        return ir.Module.parse(text, context)
    except ir.MLIRError as error:
        raise UserError(f"The text is not a valid MLIR module: {first_diagnostic(error)}.") from error


def is_structured(operation: ir.Operation) -> bool:
    """Return whether it is a linalg operation that stands on its own, not a part of another's body."""
    name = operation.name
    return bool(name.startswith("linalg.")) and name not in _INSIDE_A_BODY


def indexing_maps(operation: ir.Operation) -> list[ir.AffineMap]:
    """Return one map from the loops to an operand's elements for each operand.

    Raises:
        UserError: when the operation has none, as it has no body either.
    """
    body(operation)
    return [attribute.value for attribute in linalg.get_indexing_maps(operation)]


def body(operation: ir.Operation) -> ir.Block:
    """Return the block that computes one element.

    Raises:
        UserError: when the operation has none, as `linalg.softmax` and `linalg.pack`.
    """
    if not len(operation.regions):
        raise UserError(
            f"{operation.name} has no body, so that neither its loops nor its cost are known. Only linalg operations "
            "with a body are allowed: decompose it before."
        )
    return operation.regions[0].blocks[0]


def iterators(operation: ir.Operation) -> list[str]:
    """Return `parallel` or `reduction` for each loop.

    A named operation does not list them: there, the loops that the results do not depend on are the reductions.
    """
    if operation.name == "linalg.generic":
        parallel = ir.Attribute.parse("#linalg.iterator_type<parallel>", operation.context)
        listed = operation.attributes["iterator_types"]
        return ["parallel" if iterator == parallel else "reduction" for iterator in listed]
    maps = indexing_maps(operation)
    in_results = {loop for map_ in maps[-len(operation.results) :] for loop in plain_dimensions(map_).values()}
    return ["parallel" if loop in in_results else "reduction" for loop in range(maps[0].n_dims)]


def loops(operation: ir.Operation) -> tuple[Loop, ...]:
    """Return the iteration space of a linalg operation, in the order of its dimensions.

    A loop's bound is the size of a dimension that it alone indexes; linalg's verifier sees to it that there is one.

    Raises:
        UserError: when the operation has no indexing maps, a dimension whose size is not known, or buffers.
    """
    bounds: dict[int, int] = {}
    for operand, map_ in zip(operation.operands, indexing_maps(operation), strict=True):
        refuse_buffer(operand.type)
        if not isinstance(operand.type, ir.RankedTensorType):
            continue
        shape = static_shape(operand.type)
        for axis, loop in plain_dimensions(map_).items():
            bounds.setdefault(loop, shape[axis])
    return tuple(Loop(bounds[loop], iterator) for loop, iterator in enumerate(iterators(operation)))


def refuse_buffer(type_: ir.Type) -> None:
    """Refuse a type of memory: what an operation on one does depends on what others wrote before.

    Raises:
        UserError: when it is a memref.
    """
    if isinstance(type_, (ir.MemRefType, ir.UnrankedMemRefType)):
        raise UserError(
            f"{type_} is a buffer; only operations on tensors are allowed. Give the program as it is before it is "
            "bufferized."
        )


def static_shape(type_: ir.RankedTensorType) -> tuple[int, ...]:
    """Return the shape of a tensor type.

    Raises:
        UserError: when a dimension is dynamic.
    """
    if not type_.has_static_shape:
        raise UserError(
            f"{type_} has a dynamic dimension; only static shapes are allowed. Convert the network with fixed sizes."
        )
    return tuple(type_.shape)


def plain_dimensions(map_: ir.AffineMap) -> dict[int, int]:
    """Return the loop of each axis of an operand that is indexed by one loop and nothing else."""
    return {
        axis: expression.position
        for axis, expression in enumerate(map_.results)
        if isinstance(expression, ir.AffineDimExpr)
    }


def reads(operation: ir.Operation) -> list[bool]:
    """Return for each operand whether its elements are read, or only its shape, as a pooling's window is.

    Most `outs` of elementwise operations are not read; a matrix multiplication adds to its own. Those that are written
    in part count as read: their other elements are in the result.
    """
    if not (is_structured(operation) and len(operation.regions)):
        return [True] * len(operation.operands)
    arguments = body(operation).arguments
    used = [next(iter(argument.uses), None) is not None for argument in arguments]
    used += [False] * (len(operation.operands) - len(used))
    outs = range(len(used) - len(operation.results), len(used))
    if not all(used[place] for place in outs):
        maps = indexing_maps(operation)
        for place in outs:
            used[place] = used[place] or not is_whole(maps[place], operation.operands[place].type)
    return used


def is_whole(map_: ir.AffineMap, type_: ir.RankedTensorType) -> bool:
    """Return whether the loops reach every element: each axis has a loop of its own, or one element alone."""
    dimensions = plain_dimensions(map_)
    others = [axis for axis in range(len(map_.results)) if axis not in dimensions]
    return len(set(dimensions.values())) == len(dimensions) and all(type_.shape[axis] == 1 for axis in others)


def nested_operations(operation: ir.Operation) -> Iterator[ir.Operation]:
    """Yield all operations inside an operation's regions, in program order."""
    for region in operation.regions:
        for block in region.blocks:
            for view in block.operations:
                yield view.operation
                yield from nested_operations(view.operation)


def nested_operands(operation: ir.Operation) -> list[ir.Value]:
    """Return the operands of all operations inside an operation's regions, its own not among them."""
    return [operand for nested in nested_operations(operation) for operand in nested.operands]


def needed_operations(block: ir.Block, with_addresses: bool = True) -> list[ir.Operation]:
    """Return the operations that a block's terminator depends on, in program order.

    What only run-time checks (`cf.assert`) use, or nothing does, is left out.

    Args:
        block: a block whose operations have no effects but such checks.
        with_addresses: whether to follow what an element is looked up by (the indices of `tensor.extract`).
    """
    *operations, terminator = [view.operation for view in block.operations]
    wanted: set[ir.Value] = set(terminator.operands)
    needed: list[ir.Operation] = []
    for operation in reversed(operations):
        if not any(result in wanted for result in operation.results):
            continue
        needed.append(operation)
        if with_addresses or operation.name != "tensor.extract":
            wanted.update(operation.operands)
            wanted.update(nested_operands(operation))
    return needed[::-1]


def drop_checks(operation: ir.Operation) -> None:
    """Erase what does not reach the result of an operation's body: run-time checks, and what only they use."""
    block = body(operation)
    needed = set(needed_operations(block))
    *inner, _ = [view.operation for view in block.operations]
    for unneeded in reversed([nested for nested in inner if nested not in needed]):
        unneeded.erase()


def is_fill(operation: ir.Operation) -> bool:
    """Return whether it writes one scalar everywhere: `linalg.fill`, and a `linalg.generic` that does the same."""
    if operation.name == "linalg.fill":
        return True
    if operation.name != "linalg.generic" or len(operation.results) != 1:
        return False
    if not is_whole(indexing_maps(operation)[-1], operation.results[0].type):
        return False
    block = body(operation)
    if any(needed.name != "arith.constant" for needed in needed_operations(block)):
        return False
    (yielded,) = block.operations[len(block.operations) - 1].operands
    tensors = [
        argument
        for argument, operand in zip(block.arguments, operation.operands, strict=True)
        if isinstance(operand.type, ir.RankedTensorType)
    ]
    return yielded not in tensors


def filled_scalar(operation: ir.Operation) -> ir.Value:
    """Return the scalar that an operation writes of which `is_fill` is true."""
    if operation.name == "linalg.fill":
        return operation.operands[0]
    block = body(operation)
    (yielded,) = block.operations[len(block.operations) - 1].operands
    for argument, operand in zip(block.arguments, operation.operands, strict=True):
        if yielded == argument:
            return operand
    return yielded


def network_block(module: ir.Module) -> ir.Block:
    """Return the operations of a network: the body of the module's only function that has one.

    Raises:
        UserError: when there is no such function, or several, or one with branches.
    """
    functions = [
        view for view in module.body.operations if view.operation.name == "func.func" and len(view.regions[0].blocks)
    ]
    if len(functions) != 1:
        raise UserError(f"The module has {len(functions)} functions with a body; exactly one is allowed.")
    blocks = functions[0].regions[0].blocks
    if len(blocks) != 1:
        raise UserError(f"The function has {len(blocks)} blocks; only one is allowed: a network without branches.")
    return blocks[0]
