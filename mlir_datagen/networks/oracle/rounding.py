"""How far rounding takes the results of a network, element by element: stochastic arithmetic over its graph.

The graph is run a few times, each rounded result moved at random by as much as one evaluation may be off. Inputs,
weights, and what exact operators give are not moved: a program that differs there is wrong. What the results move by is
what a program's may differ by; where they jump, as where a number is rounded down that lies next to a whole one, the
element hangs on a rounding.

See Parker, Monte Carlo Arithmetic, UCLA CSD-970002, 1997.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from mlir_datagen.mlir.element_types import torch_dtype
from mlir_datagen.networks.oracle.graph import NetworkGraph, call, tensors
from mlir_datagen.networks.oracle.operators import (
    is_composite,
    is_of_whole_numbers,
    may_jump,
    orders_equals,
    rounding,
    rounds,
    unit,
    without_jumps,
)

RUNS = 4
"""How often the graph is run with moved values."""

SAFETY = 5
"""How many times as far as a result has moved another one may lie; that of right programs was seen to lie 1.3 times."""

_UNITS = 4
"""How many units of rounding of itself an element may be off in any case."""

_JUMPS = 8
"""How often decisions are tried on moved values."""

_FEWEST = 16
"""Of how many elements the movement is pooled."""


class Allowance(NamedTuple):
    """How far an element of a result may lie from PyTorch's.

    Attributes:
        allowed: the largest difference that rounding explains, in double precision; zeros for integers.
        unsettled: where the element hangs on a rounding.
    """

    allowed: torch.Tensor
    unsettled: torch.Tensor


def allowances(graph: NetworkGraph, values: Mapping[Any, Any], seed: int) -> list[Allowance]:
    """Return how far the elements of each result may lie from PyTorch's.

    Args:
        graph: the network's.
        values: of all its nodes, as `NetworkGraph.evaluate` gives them.
        seed: decides how values are moved.
    """
    leaves = {node: values[node] for node in graph.leaves}
    before = {node: values[node] for node in graph.results}
    moved = {node: _zeros(value) for node, value in before.items()}
    noisy = _Noisy(values, seed)
    for _ in range(RUNS):
        _note_movement(moved, before, graph.evaluate(leaves, noisy))
    allowed = {node: tolerance(moved[node], value) for node, value in before.items()}
    jumped = {node: _zeros(value) for node, value in before.items()}
    deciding = _Deciding(values, noisy.moved, seed)
    if deciding.hangs_on_rounding:
        for run in range(_JUMPS):
            deciding.run = run
            _note_movement(jumped, before, graph.evaluate(leaves, deciding))
    return [Allowance(allowed[node], jumped[node] > allowed[node]) for node in graph.results]


def movement(value: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return by how much the elements of a tensor differ, in double precision; what is no number differs infinitely."""
    if not before.is_floating_point():
        return (value != before).double()
    wide, other = value.detach().double(), before.detach().double()
    differs = (wide - other).abs().nan_to_num(nan=torch.inf)
    return differs.masked_fill((wide == other) | (wide.isnan() & other.isnan()), 0)


def tolerance(moved: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return how far elements may lie from a tensor's, whose rounding was seen to move them so far; for integers 0."""
    if not value.is_floating_point():
        return torch.zeros_like(moved)
    finite = moved.nan_to_num(posinf=0)
    size = value.detach().double().abs().nan_to_num(nan=0, posinf=0)
    return SAFETY * torch.maximum(finite, _pooled(finite)) + _UNITS * unit(value.dtype) * size


def _pooled(moved: torch.Tensor) -> torch.Tensor:
    """Return what elements like each one have moved by: one may have been moved by little by chance.

    Those are like it that lie in the same place of an axis: the model is a product of a factor for each axis. Elements
    that have not moved at all are none of them, as the zeros of a ReLU.
    """
    where = moved > 0
    if not bool(where.any()):
        return moved
    overall = moved[where].median()
    pooled = overall.expand(moved.shape).clone()
    known = moved.masked_fill(~where, torch.nan)
    for axis, extent in enumerate(moved.shape):
        if extent > 1 and moved.numel() // extent >= _FEWEST:
            lines = known.movedim(axis, 0).flatten(1)
            factors = lines.nanmedian(1).values.nan_to_num(nan=0) / overall
            count = (~lines.isnan()).sum(1)
            factors = torch.where((count > 0) & (count < _FEWEST), factors.clamp(min=1), factors)
            pooled *= factors.reshape([extent if each == axis else 1 for each in range(moved.ndim)])
    return pooled


class _Noisy:
    """Gives nodes the values that they have on arguments that have moved, and moves them where they are rounded.

    Decisions are those that were taken before, so that what moves is rounding alone.

    Attributes:
        moved: how far the arguments of each deciding node have moved, in the order of its tensors.
    """

    def __init__(self, before: Mapping[Any, Any], seed: int) -> None:
        self._before = before
        self._generator = torch.Generator().manual_seed(seed)
        self.moved: dict[Any, list[torch.Tensor]] = {}

    def __call__(self, node: Any, arguments: Any, keywords: Any) -> Any:
        given = _mapped(self._moved_by_units, arguments) if is_composite(node) else arguments
        value = call(node, given, keywords)
        if may_jump(node, arguments, value):
            self._note(node, arguments)
            return without_jumps(node, value, self._before[node])
        if rounds(node) and not is_of_whole_numbers(node, arguments, value):
            return _mapped(lambda tensor: self._moved(tensor, rounding(node, arguments, tensor)), value)
        return value

    def _note(self, node: Any, arguments: Any) -> None:
        before = tensors(torch.fx.node.map_arg(node.args, lambda source: self._before[source]))
        now = tensors(arguments)
        if node not in self.moved:
            self.moved[node] = [_zeros(tensor) for tensor in before]
        for most, tensor, other in zip(self.moved[node], now, before, strict=True):
            torch.maximum(most, movement(tensor, other), out=most)

    def _moved_by_units(self, value: torch.Tensor) -> torch.Tensor:
        return self._moved(value, 2 * unit(value.dtype) * value.abs())

    def _moved(self, value: torch.Tensor, most: Any) -> torch.Tensor:
        wide = torch.promote_types(value.dtype, torch.float32)
        sizes = most.to(wide).nan_to_num(nan=0, posinf=0)
        noise = _noise(value, self._generator).to(wide)
        # In a wider type where there is one: half a unit of the type itself would be lost.
        return (value.to(wide) + noise.mul_(sizes)).to(value.dtype)


def _noise(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random numbers between -1 and 1 in single precision, the same ones where elements are the same.

    Equal sums are rounded equally: where all channels are, as with weights of one number, their errors add up.
    """
    table = torch.rand(1 << 16, generator=generator).mul_(2).sub_(1)
    integers = torch_dtype(f"i{8 * value.element_size()}")
    bits = value.contiguous().view(integers).flatten()
    # All bits have a say, since the last ones of round numbers are zeros.
    places = (bits ^ (bits >> 16) ^ (bits >> 32)) if value.element_size() == 8 else bits.int() ^ (bits.int() >> 16)
    return table.index_select(0, places.bitwise_and_(0xFFFF).int()).reshape(value.shape)


class _Deciding:
    """Gives nodes their values, those that decide on arguments that lie as far off as rounding may take them."""

    def __init__(self, values: Mapping[Any, Any], moved: Mapping[Any, list[torch.Tensor]], seed: int) -> None:
        self.run = 0
        self._generator = torch.Generator().manual_seed(seed)
        self._off = {}
        for node, each in moved.items():
            arguments = tensors(torch.fx.node.map_arg(node.args, lambda source: values[source]))
            least = 2.0 if orders_equals(node) else 0.0
            if least or any(bool(one.any()) for one in each):
                self._off[node] = [
                    tolerance(one, tensor) if bool(one.any()) else _units(least, tensor)
                    for one, tensor in zip(each, arguments, strict=True)
                ]

    @property
    def hangs_on_rounding(self) -> bool:
        """Whether any node decides on what is rounded."""
        return bool(self._off)

    def __call__(self, node: Any, arguments: Any, keywords: Any) -> Any:
        if node in self._off:
            offs = iter(enumerate(self._off[node]))
            arguments = _mapped(lambda tensor: self._shifted(tensor, *next(offs)), arguments, with_integers=True)
        return call(node, arguments, keywords)

    def _shifted(self, tensor: torch.Tensor, place: int, off: torch.Tensor | None) -> torch.Tensor:
        if off is None:
            return tensor
        if self.run < 2:
            # All up, then all down, and what they are compared with the other way.
            signs: Any = 1 if (self.run + place) % 2 else -1
        else:
            signs = torch.randint(2, tensor.shape, generator=self._generator).double() * 2 - 1
        return (tensor.double() + signs * off).to(tensor.dtype)


def _units(number: float, value: torch.Tensor) -> torch.Tensor | None:
    """Return so many units of rounding of each element, in double precision; None for none, and for integers."""
    if not number or not value.is_floating_point():
        return None
    finite = torch.finfo(value.dtype)
    sizes = value.detach().double().abs().nan_to_num(nan=0, posinf=0)
    return number * unit(value.dtype) * sizes.clamp(min=finite.smallest_normal)


def _mapped(change: Any, nested: Any, with_integers: bool = False) -> Any:
    """Return nested values, such as a node's arguments, with its floating-point tensors changed."""

    def changed(leaf: Any) -> Any:
        is_changed = isinstance(leaf, torch.Tensor) and (with_integers or leaf.is_floating_point())
        return change(leaf) if is_changed else leaf

    return torch.utils._pytree.tree_map(changed, nested)


def _zeros(value: torch.Tensor) -> torch.Tensor:
    return torch.zeros(value.shape, dtype=torch.float64)


def _note_movement(most: dict[Any, torch.Tensor], before: Mapping[Any, Any], after: Mapping[Any, Any]) -> None:
    for node, value in after.items():
        torch.maximum(most[node], movement(value, before[node]), out=most[node])
