"""Which parts of a network show in its results: a fault in the others would pass any comparison of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from mlir_datagen.errors import is_about_memory
from mlir_datagen.networks.oracle.graph import NetworkGraph, call, operator_name, tensors
from mlir_datagen.networks.oracle.operators import root_mean_square, unit
from mlir_datagen.networks.oracle.rounding import Allowance, movement

_PART = 0.1
"""By which part of themselves values are changed, at least."""

_UNITS = 1024
"""By how many units of rounding they are: a tenth of a number of f16 is hardly more than what rounding explains."""

_TRIES = 2
"""How often values are changed at random: of a few elements, a change may be one that makes no difference."""

_CLEARLY = 2.0
"""How many times as far as rounding explains a result has to move."""


class Sensitivity:
    """Finds the nodes of a graph whose values show in its results.

    A node shows when another value of it, off by a part, moves an element of a result by clearly more than rounding
    explains. Three ways tell, the cheap ones first:

    - One backward pass of a random projection of the results tells it of all nodes where results are smooth.
    - A node shows, too, by as much as it moves another that does. So does what a normalization takes away again, as the
      bias of an attention's keys: no result would tell it from any other bias, nor a program without it from this one.
    - The value is changed, and what follows from it computed anew: truth values, integers, and what is only decided on.

    Args:
        graph: the network's.
        values: of all its nodes.
        allowances: of its results.
        seed: decides how values are changed.
    """

    def __init__(
        self, graph: NetworkGraph, values: Mapping[Any, Any], allowances: Sequence[Allowance], seed: int
    ) -> None:
        self._graph, self._values = graph, values
        self._unsettled = dict(zip(graph.results, (one.unsettled for one in allowances), strict=True))
        self._scales = {
            node: _scale(values[node], one.allowed) for node, one in zip(graph.results, allowances, strict=True)
        }
        self._generator = torch.Generator().manual_seed(seed)
        self._scores: dict[Any, float] = {}
        given = {value.dtype for node in (*graph.leaves, *graph.results) for value in tensors(values[node])}
        units = max((unit(dtype) for dtype in given if dtype.is_floating_point), default=0.0)
        self._part = min(max(_PART, _UNITS * units), 1.0)

    def unshown(self, nodes: Sequence[Any], shown: Sequence[Any] = ()) -> list[Any]:
        """Return those of some nodes that do not show, in order.

        Args:
            nodes: in the order of the graph.
            shown: nodes that were seen to show, with other values.
        """
        self._scores = {**dict.fromkeys(self._graph.nodes, 0.0), **self._by_gradient()}
        self._scores.update({node: max(self._scores[node], _CLEARLY) for node in shown})
        # From the results on: what only goes into what does not show, does not.
        for node in reversed(nodes):
            if self._scores[node] < _CLEARLY:
                self._scores[node] = max(self._scores[node], self._otherwise(node))
        return [node for node in nodes if not self._shows(node) and isinstance(self._values[node], torch.Tensor)]

    def _shows(self, node: Any) -> bool:
        return self._scores[node] >= _CLEARLY

    def _otherwise(self, node: Any) -> float:
        """Return by how many allowances results move with a node, where their gradient does not tell."""
        users = [user for user in self._graph.users[node] if self._shows(user)]
        value = self._values[node]
        if not isinstance(value, torch.Tensor):
            # Several tensors: each is a node of its own.
            return max((self._scores[user] for user in users), default=0.0)
        if not users and node not in self._scales:
            return 0.0
        through = max((self._through(node, user) for user in users), default=0.0)
        return through if through >= _CLEARLY else max(through, self._directly(node))

    def _through(self, node: Any, user: Any) -> float:
        """Return how well a node shows by what it moves another one by."""
        value = self._values[node]
        if not value.is_floating_point():
            return 0.0
        before = self._values[user]
        after = self._graph.computed(user, self._values, {node: self._off_by_a_part(value)})
        if isinstance(before, torch.Tensor):
            return self._scores[user] * self._moved_part(after, before)
        # Several tensors: each is a node of its own.
        return max(
            self._scores[one] * self._moved_part(after[one.args[1]], before[one.args[1]])
            for one in self._graph.users[user]
        )

    def _moved_part(self, after: torch.Tensor, before: torch.Tensor) -> float:
        """Return by which part of what a node is changed by itself another one has changed it."""
        size = root_mean_square(before) if before.is_floating_point() else 0.0
        return min(1.0, root_mean_square(movement(after, before)) / size / self._part) if size else 0.0

    def _directly(self, node: Any) -> float:
        most = 0.0
        for changes in (self._parts, self._others):
            for changed in changes(self._values[node]):
                if torch.equal(changed, self._values[node]):
                    continue
                try:
                    results = self._graph.again(self._values, {node: changed})
                except (IndexError, RuntimeError) as error:
                    if is_about_memory(error):
                        raise
                    # PyTorch refuses it, as an index that is out of range: what follows does depend on it.
                    return _CLEARLY
                most = max(most, self._moved_by(results))
                if most >= _CLEARLY:
                    return most
            if most:
                # It shows, only not clearly; larger changes would say less of how well.
                break
        return most

    def _parts(self, value: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield floating-point tensors that are off by a part: in one direction, and at random."""
        if value.is_floating_point():
            yield torch.where(value.isfinite(), value * (1 + self._part), value)
            for _ in range(_TRIES):
                yield self._off_by_a_part(value)

    def _others(self, value: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield other values where a part makes no difference: to truth values, infinities, what is only compared."""
        if value.dtype == torch.bool:
            yield value ^ (torch.rand(value.shape, generator=self._generator) < 0.5)
            yield ~value
            return
        for _ in range(_TRIES):
            order = torch.randperm(value.numel(), generator=self._generator)
            yield value.flatten()[order].reshape(value.shape)
        if not value.is_floating_point():
            yield value + 1
            yield value - 1

    def _off_by_a_part(self, value: torch.Tensor) -> torch.Tensor:
        signs = torch.randint(2, value.shape, generator=self._generator).to(value.dtype) * 2 - 1
        return torch.where(value.isfinite(), value * (1 + self._part * signs), value)

    def _moved_by(self, results: Mapping[Any, torch.Tensor]) -> float:
        """Return by how many allowances the element of a result moves that moves the most."""
        most = 0.0
        for node, value in results.items():
            moved = (movement(value, self._values[node]) / self._scales[node]).masked_fill(self._unsettled[node], 0)
            most = max(most, float(moved.max()) if moved.numel() else 0.0)
        return most

    def _by_gradient(self) -> dict[Any, float]:
        """Return by how many allowances results move with each node, to first order; of a typical element."""
        scores: dict[Any, float] = {}
        leaves = {}
        for node in self._graph.leaves:
            leaf = self._values[node].detach()
            if leaf.is_floating_point():
                leaf.requires_grad_()
                leaf.register_hook(_noting(scores, node, leaf))
                leaf.register_post_accumulate_grad_hook(_drop_gradient)
            leaves[node] = leaf

        def compute(node: Any, arguments: Any, keywords: Any) -> Any:
            value = _differentiable(node, arguments, keywords)
            if isinstance(value, torch.Tensor) and value.requires_grad:
                value.register_hook(_noting(scores, node, value))
            return value

        try:
            with torch.enable_grad():
                results = self._graph.evaluate(leaves, compute)
                projected, size = self._projected(results)
                if projected is None:
                    return {}
                projected.backward()
        except (RuntimeError, NotImplementedError) as error:
            if is_about_memory(error):
                raise
            # An operator without a derivative: all are changed one by one.
            return {}
        return {node: self._part * score * size for node, score in scores.items()}

    def _projected(self, results: Mapping[Any, torch.Tensor]) -> tuple[torch.Tensor | None, float]:
        """Return a sum of all elements of the results in units of what is allowed, with random signs.

        Of elements that each move by one unit it moves by the root of their number, by which it is divided.

        Returns:
            The sum, and by what it still has to be multiplied: gradients of half precision have to be small numbers.
        """
        terms, count = [], 0
        smallest = min((float(scale.min()) for scale in self._scales.values() if scale.numel()), default=1.0)
        for node, value in results.items():
            if value.requires_grad:
                signs = torch.randint(2, value.shape, generator=self._generator).double() * 2 - 1
                settled = ~self._unsettled[node] & value.detach().isfinite()
                weights = (signs * (smallest / self._scales[node])).masked_fill(~settled, 0)
                terms.append((value.masked_fill(~settled, 0).double() * weights).sum())
                count += int(settled.sum())
        if not terms:
            return None, 0.0
        return torch.stack(terms).sum(), 1 / (smallest * math.sqrt(max(count, 1)))


def _differentiable(node: Any, arguments: Any, keywords: Any) -> Any:
    """Return a node's value, computed so that it has a derivative by all of its arguments.

    PyTorch's normalization by given statistics has none by these.
    """
    if operator_name(node) != "_native_batch_norm_legit_no_training":
        return call(node, arguments, keywords)
    tensor, weight, bias, mean, variance, _, epsilon = arguments
    alongside = [-1 if axis == 1 else 1 for axis in range(tensor.ndim)]
    scale = (variance + epsilon).rsqrt() * (1 if weight is None else weight)
    shift = 0 if bias is None else bias.reshape(alongside)
    return (tensor - mean.reshape(alongside)) * scale.reshape(alongside) + shift, tensor[:0], tensor[:0]


def _scale(value: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Return the units in which a result's elements move: what is allowed, or hardly anything where nothing is.

    That is a unit of rounding of the smallest element: a mask's huge numbers must not hide the others.
    """
    if not value.is_floating_point():
        # One is enough: they have to be equal.
        return torch.full(value.shape, 1 / (2 * _CLEARLY), dtype=torch.float64)
    sizes = value.detach().double().abs()
    smallest = sizes[(sizes > 0) & sizes.isfinite()]
    return allowed.clamp(min=unit(value.dtype) * (float(smallest.min()) if smallest.numel() else 1.0))


def _noting(scores: dict[Any, float], node: Any, value: torch.Tensor) -> Any:
    held = value.detach()

    def note(gradient: torch.Tensor) -> None:
        moved = torch.where(gradient == 0, 0, gradient * held)
        # All elements by random signs, or all by the same one: errors of one sign do not make up for each other.
        size = max(float(torch.linalg.vector_norm(moved, dtype=torch.float64)), abs(float(moved.double().sum())))
        scores[node] = size if math.isfinite(size) else 0.0

    return note


def _drop_gradient(leaf: torch.Tensor) -> None:
    leaf.grad = None


def has_to_show(graph: NetworkGraph, constant: bool) -> list[Any]:
    """Return the nodes of a graph that have to show, in order: those that depend on what its program is given.

    Args:
        graph: the network's.
        constant: whether parameters and buffers are constants in the program, whose function they are a part of.
    """
    given = [
        node
        for node, leaf in graph.leaves.items()
        if leaf.role == "input" or (leaf.role != "constant" and not constant)
    ]
    dependent = graph.dependent(given)
    return [node for node in graph.nodes if node in dependent and _has_elements(node)]


def _has_elements(node: Any) -> bool:
    return any(tensor.numel() for tensor in tensors(node.meta.get("val")))
