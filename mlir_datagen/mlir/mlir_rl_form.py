"""Rewriting what MLIR-RL does not take of a program into what it does; the results stay the same.

- Its fusion step takes results whose dimensions are each indexed by one loop, and raises an exception on an index that
  is constant. There the dimension, which is of size 1, is dropped from the operation and added to its result. A program
  of a single operation, where there is nothing to fuse, keeps it.
- Its loaders take no truth values (i1). As arguments and results they become numbers (i32): not 0 is true, and true is
  1. Where a `linalg.generic` reads or makes them, it is its body that converts them; elsewhere one more does.
- Its im2col step takes depthwise convolutions whose channels come last. Images, filters and results of others are
  transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg, tensor

from mlir_datagen.mlir.facts import init_count, maker, walk
from mlir_datagen.mlir.linalg_operation import body, indexing_maps, is_structured, is_whole, plain_dimensions, reads
from mlir_datagen.mlir.reassociation import collapse_then_expand
from mlir_datagen.mlir.single_op_program import single_operation

CONSTANT_INDEX = "the dimensions of size 1 that a result has at a constant index are dropped and added again"
TRUTH_VALUES = "truth values (i1) are numbers (i32) where they are arguments or results"
CHANNELS_LAST = "depthwise convolutions have their channels last, between transpositions"

_INITIAL = ("tensor.empty", "linalg.fill", "arith.constant")
_DEPTHWISE = "linalg.depthwise_conv_2d_nchw_chw"
_CHANNELS_LAST = (0, 2, 3, 1)
_CHANNELS_SECOND = (0, 3, 1, 2)
_FILTER_CHANNELS_LAST = (1, 2, 0)


def rewrite(function: ir.Operation) -> tuple[str, ...]:
    """Rewrite a function of one block, in place. It is called with the context and a location entered.

    Returns:
        What was rewritten, in words; nothing where the function is as before.
    """
    block = function.regions[0].blocks[0]
    has_truth_values = _widen_arguments(block) | _widen_results(block)
    operations = [operation for operation in walk(function) if is_structured(operation)]
    # Afterwards, since a conversion may be the second operation.
    is_single = single_operation(block) is not None
    fixed = [operation for operation in operations if not is_single and _has_constant_index(operation)]
    depthwise = [operation for operation in operations if operation.name == _DEPTHWISE]
    for operation in fixed:
        _drop_constant_indices(operation)
    for operation in depthwise:
        _put_channels_last(operation)
    _erase_unused(block)
    types = [argument.type for argument in block.arguments], [value.type for value in _terminator(block).operands]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types))
    done = {CONSTANT_INDEX: fixed, TRUTH_VALUES: has_truth_values, CHANNELS_LAST: depthwise}
    return tuple(what for what, is_done in done.items() if is_done)


def _has_constant_index(operation: ir.Operation) -> bool:
    """Tell whether results are written at a constant index, and the dimensions concerned are all of size 1."""
    if operation.name != "linalg.generic":
        return False
    inits = init_count(operation)
    written = list(zip(indexing_maps(operation), operation.operands, strict=True))[-inits:]
    return all(is_whole(map_, value.type) for map_, value in written) and any(
        len(plain_dimensions(map_)) < len(map_.results) for map_, _ in written
    )


def _drop_constant_indices(operation: ir.Operation) -> None:
    maps = indexing_maps(operation)
    operands, types = list(operation.operands), []
    with ir.InsertionPoint(operation):
        for place in range(len(operands) - init_count(operation), len(operands)):
            map_, type_ = maps[place], ir.RankedTensorType(operands[place].type)
            kept = list(plain_dimensions(map_))
            maps[place] = ir.AffineMap.get(map_.n_dims, 0, [map_.results[axis] for axis in kept])
            types.append(ir.RankedTensorType.get([type_.shape[axis] for axis in kept], type_.element_type))
            # A fill of a scalar would have no loop.
            make = _init if kept else lambda value, smaller, change: change(value, smaller)
            operands[place] = make(operands[place], types[-1], _collapsed)
        smaller = _generic(operation, operands, maps, types)
    with ir.InsertionPoint.after(smaller):
        for value, result in zip(operation.results, smaller.results, strict=True):
            value.replace_all_uses_with(result if value.type == result.type else _expanded(result, value.type))
    operation.erase()


def _collapsed(value: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    _, groups, _ = collapse_then_expand(value.type.shape, type_.shape)
    return value if groups is None else tensor.CollapseShapeOp(type_, value, groups).result


def _expanded(value: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    _, _, groups = collapse_then_expand(value.type.shape, type_.shape)
    return tensor.ExpandShapeOp(type_, value, groups, [], list(type_.shape)).result


def _put_channels_last(operation: ir.Operation) -> None:
    image, filters, init = operation.operands
    with ir.InsertionPoint(operation):
        last = linalg.depthwise_conv_2d_nhwc_hwc(
            _transposed(image, _CHANNELS_LAST),
            _transposed(filters, _FILTER_CHANNELS_LAST),
            outs=[_init(init, _permuted(init.type, _CHANNELS_LAST), lambda of, _: _transposed(of, _CHANNELS_LAST))],
            strides=operation.attributes["strides"],
            dilations=operation.attributes["dilations"],
        )
        operation.results[0].replace_all_uses_with(_transposed(last, _CHANNELS_SECOND))
    operation.erase()


def _transposed(value: ir.Value, permutation: Sequence[int]) -> ir.Value:
    empty = _empty(_permuted(value.type, permutation))
    return linalg.transpose(value, outs=[empty], permutation=list(permutation)).results[0]


def _permuted(type_: ir.RankedTensorType, permutation: Sequence[int]) -> ir.RankedTensorType:
    return ir.RankedTensorType.get([type_.shape[axis] for axis in permutation], type_.element_type)


def _widen_arguments(block: ir.Block) -> bool:
    arguments = [argument for argument in block.arguments if _is_truth_tensor(argument.type)]
    for argument in arguments:
        uses = [(use.owner.operation, use.operand_number) for use in argument.uses]
        truth = ir.RankedTensorType(argument.type)
        argument.set_type(_widened(truth))
        if all(_is_input_of_generic(*use) for use in uses):
            for user, place in uses:
                _read_widened(body(user), place)
            continue
        with ir.InsertionPoint.at_block_begin(block):
            converted = _converted(argument, truth, _is_true)
        for user, place in uses:
            user.operands[place] = converted
    return bool(arguments)


def _is_input_of_generic(user: ir.Operation, place: int) -> bool:
    return user.name == "linalg.generic" and place < len(user.operands) - init_count(user)


def _read_widened(inner: ir.Block, place: int) -> None:
    """Convert an argument of a body, which is a truth value, from the number that it becomes."""
    argument = inner.arguments[place]
    argument.set_type(_number())
    with ir.InsertionPoint.at_block_begin(inner):
        truth = _is_true(argument)
    argument.replace_all_uses_except(truth, [maker(truth)])


def _widen_results(block: ir.Block) -> bool:
    terminator = _terminator(block)
    places = [place for place, value in enumerate(terminator.operands) if _is_truth_tensor(value.type)]
    for place in places:
        value = terminator.operands[place]
        owner = maker(value)
        if owner is not None and _makes_truth_for_one_user(owner):
            terminator.operands[place] = _make_widened(owner)
            continue
        with ir.InsertionPoint(terminator):
            terminator.operands[place] = _converted(value, _widened(value.type), _number_of)
    return bool(places)


def _makes_truth_for_one_user(operation: ir.Operation) -> bool:
    """Tell whether it is a `linalg.generic` with one result, which is used once, and does not read its init."""
    if operation.name != "linalg.generic" or len(operation.results) != 1:
        return False
    return not reads(operation)[-1] and len(list(operation.results[0].uses)) == 1


def _make_widened(operation: ir.Operation) -> ir.Value:
    type_ = _widened(operation.results[0].type)
    inner = body(operation)
    with ir.InsertionPoint(operation):
        operands = [*list(operation.operands)[:-1], _empty(type_)]
        wider = _generic(operation, operands, indexing_maps(operation), [type_])
    inner = body(wider)
    inner.arguments[len(operands) - 1].set_type(_number())
    yielded = _terminator(inner)
    with ir.InsertionPoint(yielded):
        yielded.operands[0] = _number_of(yielded.operands[0])
    operation.results[0].replace_all_uses_with(wider.results[0])
    operation.erase()
    return wider.results[0]


def _converted(value: ir.Value, type_: ir.RankedTensorType, convert: Callable[[ir.Value], ir.Value]) -> ir.Value:
    """Convert each element of a tensor."""
    identity = ir.AffineMapAttr.get(ir.AffineMap.get_identity(len(type_.shape)))
    generic = linalg.GenericOp(
        [type_], [value], [_empty(type_)], ir.ArrayAttr.get([identity] * 2), ["parallel"] * len(type_.shape)
    )
    inner = generic.regions[0].blocks.append(value.type.element_type, type_.element_type)
    with ir.InsertionPoint(inner):
        linalg.YieldOp([convert(inner.arguments[0])])
    return generic.results[0]


def _is_true(number: ir.Value) -> ir.Value:
    zero = arith.ConstantOp(_number(), 0).result
    return arith.CmpIOp(arith.CmpIPredicate.ne, number, zero).result


def _number_of(truth: ir.Value) -> ir.Value:
    return arith.ExtUIOp(_number(), truth).result


def _number() -> ir.Type:
    return ir.IntegerType.get_signless(32)


def _is_truth_tensor(type_: ir.Type) -> bool:
    return isinstance(type_, ir.RankedTensorType) and type_.element_type == ir.IntegerType.get_signless(1)


def _widened(type_: ir.RankedTensorType) -> ir.RankedTensorType:
    return ir.RankedTensorType.get(type_.shape, _number())


def _generic(
    operation: ir.Operation, operands: Sequence[ir.Value], maps: Sequence[ir.AffineMap], types: Sequence[ir.Type]
) -> ir.Operation:
    """Return a `linalg.generic` with the body of another, which it is taken from, on other operands."""
    attributes = {
        "indexing_maps": ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
        "iterator_types": operation.attributes["iterator_types"],
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(operands) - len(types), len(types)]),
    }
    made = ir.Operation.create("linalg.generic", types, operands, attributes, regions=1)
    body(operation).append_to(made.regions[0])
    return made


def _init(
    value: ir.Value,
    type_: ir.RankedTensorType,
    change: Callable[[ir.Value, ir.RankedTensorType], ir.Value],
) -> ir.Value:
    """Return an init of another type: made as the old one was where it has one value everywhere, else changed."""
    owner = maker(value)
    if owner is not None and owner.name == "tensor.empty":
        return _empty(type_)
    if owner is not None and owner.name == "linalg.fill":
        return linalg.fill(owner.operands[0], outs=[_empty(type_)])
    return change(value, type_)


def _empty(type_: ir.RankedTensorType) -> ir.Value:
    return tensor.EmptyOp(type_.shape, type_.element_type).result


def _terminator(block: ir.Block) -> ir.Operation:
    return block.operations[len(block.operations) - 1].operation


def _erase_unused(block: ir.Block) -> None:
    """Erase the initial values that nothing uses any more."""
    for operation in reversed([view.operation for view in block.operations]):
        is_initial = operation.name in _INITIAL
        if is_initial and not any(list(result.uses) for result in operation.results):
            operation.erase()
