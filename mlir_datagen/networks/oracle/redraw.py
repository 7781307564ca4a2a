"""Other weights and inputs for a check, under which what a network computes shows in its results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from mlir_datagen.errors import is_about_memory
from mlir_datagen.networks.oracle.graph import NetworkGraph, call, operator_name
from mlir_datagen.networks.oracle.operators import is_product_with, root_mean_square
from mlir_datagen.networks.state import is_uniform

_SMALL = 0.5
"""The size of what is added, and by how much factors lie off one."""

_MEAN = 0.1
"""The size of a channel's mean, relative to that of the channels: what is left of them has few errors more."""

_NORMALIZATIONS = ("_native_batch_norm_legit_no_training", "batch_norm")
"""Operators that take a mean and a variance for each channel, as their arguments 3 and 4."""

_MOVES = ("view", "reshape", "transpose", "permute", "t", "expand", "unsqueeze", "squeeze", "clone", "_to_copy")
"""Operators that move a matrix's elements, and give it on."""


def redrawn(
    graph: NetworkGraph, own: Mapping[Any, torch.Tensor], seed: int, constant: bool
) -> dict[Any, torch.Tensor] | None:
    """Return other values of a graph's leaves, or None where there are none, or the network does not work on them.

    Matrices and kernels keep the variance of what goes through them; factors lie around one, and what is added is not
    small; means and variances are those of what they normalize; inputs that are one number throughout, as a mask of
    ones, vary. All else stays.

    Args:
        graph: the network's.
        own: the values that its leaves have.
        seed: decides the values.
        constant: whether parameters and buffers are constants in the program, which stay.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = dict(own)
    drawn: dict[str, torch.Tensor] = {}
    for node, leaf in graph.leaves.items():
        if leaf.role in ("parameter", "buffer") and not constant and own[node].is_floating_point():
            if leaf.name not in drawn:
                drawn[leaf.name] = _weight(graph, node, own[node], leaf.role, generator)
            weights[node] = drawn[leaf.name]
    inputs = {
        node: _varied(own[node], generator)
        for node, leaf in graph.leaves.items()
        if leaf.role == "input" and is_uniform(own[node])
    }
    for changed in ({**weights, **inputs}, weights):
        if all(changed[node] is own[node] for node in own):
            continue
        if (worked := _with_statistics(graph, changed, constant, generator)) is not None:
            return worked
    return None


def _with_statistics(
    graph: NetworkGraph, values: Mapping[Any, torch.Tensor], constant: bool, generator: torch.Generator
) -> dict[Any, torch.Tensor] | None:
    """Return values with the means and variances that normalizations by given ones see; None where the graph fails."""
    found = dict(values)

    def compute(node: Any, arguments: Any, keywords: Any) -> Any:
        if operator_name(node) in _NORMALIZATIONS and not constant:
            held = node.args[3:5]
            if all(one in graph.leaves for one in held):
                statistics = _statistics(arguments[0], arguments[3], generator)
                found.update(zip(held, statistics, strict=True))
                arguments = (*arguments[:3], *statistics, *arguments[5:])
        return call(node, arguments, keywords)

    try:
        graph.evaluate(values, compute)
        # Again, since what is normalized twice by the same numbers had others the first time.
        results = graph.evaluate(found)
    except (IndexError, RuntimeError) as error:
        if is_about_memory(error):
            raise
        # PyTorch refuses such inputs or weights.
        return None
    return found if all(bool(result.isfinite().all()) for result in results.values()) else None


def _statistics(
    value: torch.Tensor, mean: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a mean and a variance for each channel that leave the channels together of about size one.

    They are not each channel's own: over a few positions one hardly varies, and what was left of it would be rounding
    in large part, and more of it from layer to layer.
    """
    size = root_mean_square(value) or 1.0
    signs = torch.randint(2, mean.shape, generator=generator).double() * 2 - 1
    factors = torch.rand(mean.shape, generator=generator, dtype=torch.float64) + _SMALL
    return (_MEAN * size * signs).to(mean.dtype), (size**2 * factors).to(mean.dtype)


def _weight(graph: NetworkGraph, node: Any, own: torch.Tensor, role: str, generator: torch.Generator) -> torch.Tensor:
    wide = torch.promote_types(own.dtype, torch.float32)
    uniform = torch.rand(own.shape, generator=generator, dtype=wide) * 2 - 1
    if role == "buffer" and (own.numel() == 1 or not is_uniform(own)):
        # A table of what the network has computed once, such as of frequencies; its numbers mean something.
        return own
    if own.ndim > 1 and (inputs := _inputs_of_a_product(graph, node, own)):
        # Such as He et al., Delving Deep into Rectifiers, 2015, have it.
        return (uniform * math.sqrt(3 * 2 / inputs)).to(own.dtype)
    values = own.to(wide)
    mean = float(values.mean()) if values.numel() else 0.0
    spread = float(values.std(correction=0)) if values.numel() else 0.0
    if abs(mean) > 2 * spread:
        # Factors, be they ones, or next to nothing as those of a layer scale are.
        return (math.copysign(1.0, mean) * (1 + _SMALL * uniform)).to(own.dtype)
    return (2 * _SMALL * uniform).to(own.dtype)


def _inputs_of_a_product(graph: NetworkGraph, node: Any, own: torch.Tensor) -> int:
    """Return how many products each output of a matrix or kernel is the sum of; 0 where it is multiplied by none."""
    waiting, seen = [node], {node}
    while waiting:
        source = waiting.pop()
        for user in graph.users[source]:
            if is_product_with(user, source):
                name = operator_name(user)
                if name.startswith("conv"):
                    return int(own.numel() // own.shape[1 if "transpose" in name else 0])
                return int(own.shape[-1] if name == "linear" and source is node else own.shape[-2])
            if operator_name(user) in _MOVES and user not in seen:
                seen.add(user)
                waiting.append(user)
    return 0


def _varied(own: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a tensor of other numbers than the one that it is full of: between it and 0; its first ones stay."""
    number = own.flatten()[0]
    kept = torch.rand(own.shape, generator=generator) < 0.7
    if own.ndim:
        # So that a mask leaves something of every row.
        kept[..., :1] = True
    if own.dtype == torch.bool:
        return own ^ ~kept
    if number == 0:
        return torch.where(kept, own, own + 1)
    return torch.where(kept, own, torch.zeros_like(own))
