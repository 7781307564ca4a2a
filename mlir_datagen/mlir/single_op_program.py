"""Single-op programs, and the form in which a consumer that brings the initial values sees them.

A **single-op program** is one linalg operation with nothing beside it but constants, `tensor.empty` and the
`linalg.fill` of its inits. There the inits, and inputs that are a `tensor.empty` (the window of a pooling, of which
only the shape counts), become arguments of the function, after the others and in the order of the operands.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith, bufferization, func

from mlir_datagen.mlir.facts import init_count, is_relu, maker, type_facts
from mlir_datagen.mlir.linalg_operation import body, is_structured

_BESIDE_THE_OPERATION = {"arith.constant", "tensor.empty", "linalg.fill", "func.return"}


def strip(module: ir.Module) -> bool:
    """Leave of a single-op program what is the operation itself: no initial value, and one way to write it.

    The type of its function is as before, so that the module may be looked at, and not be lowered.

    Returns:
        whether it is a single-op program; any other is not changed.
    """
    operations = [view.operation for view in module.body.operations]
    if [operation.name for operation in operations] != ["func.func"] or len(operations[0].regions[0].blocks) != 1:
        return False
    (block,) = operations[0].regions[0].blocks
    single = single_operation(block)
    if single is None:
        return False
    with module.context, ir.Location.unknown():
        give_arguments(block, single)
        if is_relu(single):
            _write_maximum(single)
    return True


def _write_maximum(relu: ir.Operation) -> None:
    """Write a relu as a maximum, which may be a comparison and a choice."""
    *inner, terminator = [view.operation for view in body(relu).operations]
    argument = body(relu).arguments[0]
    (zero,) = [operand for operand in inner[0].operands if operand != argument]
    with ir.InsertionPoint(terminator):
        terminator.operands[0] = arith.MaximumFOp(argument, zero).result
    for operation in reversed(inner):
        operation.erase()


def single_operation(block: ir.Block) -> ir.Operation | None:
    """Return the operation of a single-op program; None when there are several, or something else beside it."""
    operations = [operation.operation for operation in block.operations]
    structured = [operation for operation in operations if is_structured(operation)]
    others = [operation for operation in structured if operation.name != "linalg.fill"]
    # A program may be a fill and nothing else.
    candidates = others or structured
    if len(candidates) != 1:
        return None
    (single,) = candidates
    beside = [operation for operation in operations if operation != single]
    fills = [operation for operation in beside if operation.name == "linalg.fill"]
    inits = _inits(single)
    if any(operation.name not in _BESIDE_THE_OPERATION for operation in beside):
        return None
    if any(not _is_used_only_as(fill.results[0], inits) or maker(fill.operands[1]) is None for fill in fills):
        return None
    return single


def _inits(operation: ir.Operation) -> list[ir.Value]:
    operands = list(operation.operands)
    return operands[len(operands) - init_count(operation) :]


def _is_used_only_as(value: ir.Value, inits: list[ir.Value]) -> bool:
    return value in inits and len(list(value.uses)) == 1


def give_arguments(block: ir.Block, single: ir.Operation) -> None:
    """Make arguments of the inits, and of the inputs without contents; drop what is unused then.

    Args:
        block: the body of the function; its arguments are added to, and not yet the function's type.
        single: its single operation.
    """
    inits = _inits(single)
    for place, value in enumerate(list(single.operands)):
        owner = maker(value)
        contents = ("linalg.fill", "tensor.empty") if value in inits else ("tensor.empty",)
        if owner is not None and owner.name in contents:
            single.operands[place] = block.add_argument(value.type, ir.Location.unknown())
    for operation in reversed([operation.operation for operation in block.operations]):
        is_dead = operation.results and not any(list(result.uses) for result in operation.results)
        if operation != single and is_dead:
            operation.erase()


def filled_bytes(single: ir.Operation) -> int:
    """Return the size of the inits that a `linalg.fill` gives their contents.

    It is 0 where an init is anything else, such as an argument that is read as well: `write_in_place` is not for these.
    """
    made = [(value, maker(value)) for value in _inits(single)]
    if any(owner is None or owner.name not in ("linalg.fill", "tensor.empty") for _, owner in made):
        return 0
    return sum(type_facts(value.type).bytes for value, owner in made if owner and owner.name == "linalg.fill")


def write_in_place(function: ir.Operation) -> None:
    """Have a single-op program write its results into arguments that bring the initial values, and return nothing.

    To call it is to run the operation then: nothing is filled or copied.

    Args:
        function: the program's, in which all inits are filled or empty. They become memrefs, after the arguments.
    """
    block = function.regions[0].blocks[0]
    single = single_operation(block)
    assert single is not None
    terminator = block.operations[len(block.operations) - 1].operation
    with ir.InsertionPoint(terminator):
        func.ReturnOp([])
    terminator.erase()
    give_arguments(block, single)
    inits = _inits(single)
    for place, init, result in zip(
        range(len(single.operands) - len(inits), len(single.operands)), inits, single.results, strict=True
    ):
        type_ = ir.RankedTensorType(init.type)
        buffer = block.add_argument(ir.MemRefType.get(type_.shape, type_.element_type), ir.Location.unknown())
        with ir.InsertionPoint(single):
            single.operands[place] = bufferization.ToTensorOp(type_, buffer, restrict=True, writable=True).result
        with ir.InsertionPoint(block.operations[len(block.operations) - 1]):
            bufferization.MaterializeInDestinationOp(None, result, buffer, writable=True)
        block.erase_argument(ir.BlockArgument(init).arg_number)
    types = ir.FunctionType.get([argument.type for argument in block.arguments], [])
    function.attributes["function_type"] = ir.TypeAttr.get(types)
