"""Programs out of networks: every linalg operation, or windows of connected ones.

**Operations** are the linalg operations of the network but those that fill a tensor with one scalar; they are counted
from 0 in program order. A **window** of size n begins at an operation and has n connected ones: each but the first
reads, directly or through operations that are not linalg's (pads, reshapes, slices, casts), what an earlier one in it
computed (see `Network.window`). Those between two operations of the window belong to the program; one before the first
or after the last does not: a padded image is an argument. What becomes an argument, and what is copied, is in
`excerpt`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.cost import flops, loops
from mlir_datagen.mlir.excerpt import Excerpt, excerpt
from mlir_datagen.mlir.facts import element_bits
from mlir_datagen.mlir.linalg_operation import network_block, parse_module, static_shape
from mlir_datagen.mlir.network_graph import Network
from mlir_datagen.mlir.outline import outline_of, with_main
from mlir_datagen.mlir.signature import Operand, Outline
from mlir_datagen.mlir.structural_hash import StructuralHasher


@dataclass(frozen=True)
class ExtractedProgram:
    """A program that was cut out of a network.

    Attributes:
        text: a module with one function, named after the main operation.
        arguments: what the function takes, `arg0`, `arg1` and so on, as in the text.
        results: what it returns, `result0` and so on.
        outline: its graph.
        bytes_moved: the size of arguments and results in bytes.
        main_operation: the costliest linalg operation of the text, such as `linalg.conv_2d_nchw_fchw`; of equally
            costly ones that with the largest iteration space, and of these the first.
        positions: which operations of the network it was made of where it first occurs.
        structural_hash: see `mlir.structural_hash`.
        multiplicity: how often it occurs in the network.
    """

    text: str
    arguments: tuple[Operand, ...]
    results: tuple[Operand, ...]
    outline: Outline
    bytes_moved: int
    main_operation: str
    positions: tuple[int, ...]
    structural_hash: str
    multiplicity: int


def extract(text: str, context: ir.Context, window: int = 1, stride: int = 1) -> list[ExtractedProgram]:
    """Return the distinct programs of a network, in the order in which they first occur.

    With a window of 1 and a stride of 1 it is each linalg operation; the sum of flops times `multiplicity` is then
    the cost of the network.

    Args:
        text: a module with one function, such as a converter makes.
        context: where to parse it.
        window: how many linalg operations a program has.
        stride: a window begins at every so many operations, in program order. Where fewer than `window` connected
            operations follow, there is none.

    Raises:
        UserError: when `window` or `stride` is less than 1, the text is not valid MLIR, or not a network of linalg
            operations of static shapes, or it has no window of that size.
    """
    for name, value in (("window", window), ("stride", stride)):
        if value < 1:
            raise UserError(f"{name}={value} is not allowed: it must be a whole number of at least 1.")
    module = parse_module(text, context)
    network = Network(module)
    if not network.operations:
        raise UserError(
            "The model has no linalg operation, so that there is nothing to extract. It must be converted to linalg on "
            'tensors (torch-mlir: output_type="linalg-on-tensors").'
        )
    windows = [network.window(start, window) for start in network.operations[::stride]]
    full = [chosen for chosen in windows if len(chosen) == window]
    if not full:
        raise UserError(
            f"window={window} is too large for this model: no more than {max(map(len, windows))} of its linalg "
            "operations are connected. Choose a smaller window, or window=1 for each operation on its own."
        )
    return _distinct(network, full)


def _distinct(network: Network, windows: Sequence[tuple[int, ...]]) -> list[ExtractedProgram]:
    costs = {position: _cost(network.nodes[position]) for window in windows for position in window}
    numbers = {position: number for number, position in enumerate(network.operations)}
    hasher = StructuralHasher()
    found: dict[str, ExtractedProgram] = {}
    for window in windows:
        main = max(window, key=lambda position: (costs[position], -position))
        cut = excerpt(network, network.with_helpers(window), main)
        digest = hasher.hash(cut.module)
        if digest in found:
            known = found[digest]
            found[digest] = dataclasses.replace(known, multiplicity=known.multiplicity + 1)
        else:
            positions = tuple(numbers[position] for position in window)
            found[digest] = _program(cut, positions, digest)
    return list(found.values())


def _cost(operation: ir.Operation) -> tuple[int, int]:
    """Return the arithmetic operations of a linalg operation, and the points of its iteration space."""
    return flops(operation), math.prod(loop.bound for loop in loops(operation))


def _program(cut: Excerpt, positions: tuple[int, ...], digest: str) -> ExtractedProgram:
    cut.module.operation.verify()
    block = network_block(cut.module)
    returned = block.operations[len(block.operations) - 1].operands
    arguments = tuple(_operand(f"arg{index}", argument.type) for index, argument in enumerate(block.arguments))
    results = tuple(_operand(f"result{index}", result.type) for index, result in enumerate(returned))
    return ExtractedProgram(
        text=str(cut.module),
        arguments=arguments,
        results=results,
        outline=with_main(outline_of(Network(cut.module))),
        bytes_moved=sum(_bytes(value.type) for value in (*block.arguments, *returned)),
        main_operation=cut.main_operation,
        positions=positions,
        structural_hash=digest,
        multiplicity=1,
    )


def _operand(name: str, type_: ir.RankedTensorType) -> Operand:
    return Operand(name, static_shape(type_), str(type_.element_type))


def _bytes(type_: ir.RankedTensorType) -> int:
    """Return the size of a tensor in memory; an i1 takes a byte."""
    return math.prod(static_shape(type_)) * math.ceil(element_bits(type_.element_type) / 8)
