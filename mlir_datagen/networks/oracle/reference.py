"""What PyTorch says of a network: the results that its program has to give, and how far these may lie off.

The truth is what PyTorch gives in the network's own precision. Where a result is the same in double precision but for
rounding, it is compared with that one, which is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, is_about_memory
from mlir_datagen.mlir.element_types import as_array
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.networks.capture import called, explained, mlir_dtype
from mlir_datagen.networks.changes import unchanged
from mlir_datagen.networks.converted import Converted
from mlir_datagen.networks.oracle.expected import Case, Expected, ExpectedResult
from mlir_datagen.networks.oracle.graph import NetworkGraph
from mlir_datagen.networks.oracle.redraw import redrawn
from mlir_datagen.networks.oracle.rounding import Allowance, allowances, movement
from mlir_datagen.networks.oracle.sensitivity import Sensitivity, has_to_show
from mlir_datagen.networks.quiet import quiet
from mlir_datagen.networks.results import tensors_of
from mlir_datagen.networks.state import places, state_tensors

_SEED = 0
"""Of whatever is drawn for a check; nothing of it is in the program."""

_NEAR = 4
"""By how many times what rounding explains results in double precision may differ and still be the same ones."""


def expected_results(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str, converted: Converted
) -> Expected:
    """Return what PyTorch says of a network.

    Args:
        module: the network, in evaluation mode; it is not changed.
        inputs: by name and in order.
        name: what the network is called in messages.
        converted: its program.

    Raises:
        UserError: when PyTorch refuses the network or its inputs, or a result has a dtype that programs have not.
        Rejection: at stage `matched`, when PyTorch gives NaN, or other results than the graph that was converted.
        MemoryError: when there is not enough memory.
    """
    with quiet(), _exported_path():
        return _Oracle(module, inputs, name, converted).expected()


class _Oracle:
    """One network, with its graph."""

    def __init__(
        self, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str, converted: Converted
    ) -> None:
        self._module, self._inputs, self._name, self._converted = module, inputs, name, converted
        # First, so that it is the network that is said to refuse its inputs.
        with explained(name, inputs), unchanged(module):
            self._own = _results(module, inputs)
        _refuse_nan(self._own)
        with unchanged(module):
            self._graph = NetworkGraph(module, inputs, name)
        self._constant = all(argument.role == "input" for argument in converted.arguments)

    def expected(self) -> Expected:
        graph = self._graph
        wanted = has_to_show(graph, self._constant)
        own = graph.own_values(self._module, self._inputs)
        case, unshown = self._case(own, self._own, wanted, [])
        cases = [case]
        others = redrawn(graph, own, _SEED, self._constant) if unshown else None
        if others is not None and (results := self._results_on(others)) is not None:
            hidden = set(unshown)
            case, still = self._case(others, results, unshown, [node for node in wanted if node not in hidden])
            if len(still) < len(unshown):
                cases.append(case)
                unshown = still
        places = [*(f"input {name}" for name in graph.unused), *(graph.place(node) for node in unshown)]
        return Expected(tuple(cases), tuple(dict.fromkeys(places)))

    def _case(
        self, leaves: Mapping[Any, torch.Tensor], results: Sequence[torch.Tensor], wanted: Sequence[Any], shown: Any
    ) -> tuple[Case, list[Any]]:
        """Return a call to compare, and which of the wanted nodes do not show in it."""
        values = self._graph.evaluate(leaves, keep=True)
        allowed = allowances(self._graph, values, _SEED)
        self._require_same([values[node] for node in self._graph.results], results, allowed)
        unshown = Sensitivity(self._graph, values, allowed, _SEED).unshown(wanted, shown)
        precise = self._in_double(leaves)
        if precise is None or [one.shape for one in precise] != [one.shape for one in results]:
            precise = list(results)
        arguments = tuple(_as_array(self._argument(one, leaves)) for one in self._converted.arguments)
        return Case(arguments, tuple(map(_expected_result, results, precise, allowed))), unshown

    def _require_same(
        self, graphs: Sequence[torch.Tensor], results: Sequence[torch.Tensor], allowed: Sequence[Allowance]
    ) -> None:
        same = [(one.dtype, one.shape) for one in graphs] == [(one.dtype, one.shape) for one in results] and all(
            bool(((movement(one, other) <= each.allowed) | each.unsettled).all())
            for one, other, each in zip(graphs, results, allowed, strict=True)
        )
        if not same:
            raise Rejection(
                "matched",
                "PyTorch gives other results when it runs the network than when it runs the graph that was captured of "
                "it: the network draws random numbers, or does something else while it is captured",
            )

    def _argument(self, argument: Argument, leaves: Mapping[Any, torch.Tensor]) -> torch.Tensor:
        """Return what a program takes for one of its arguments: an input and a buffer may have one name."""
        named = {(leaf.role == "input", leaf.name): leaves[node] for node, leaf in self._graph.leaves.items()}
        is_input = argument.role == "input"
        if (found := named.get((is_input, argument.name))) is not None:
            return found
        return self._inputs[argument.name] if is_input else self._state()[argument.name]

    def _state(self) -> dict[str, torch.Tensor]:
        return {one.name: one.tensor for one in state_tensors(self._module)}

    def _results_on(self, leaves: Mapping[Any, torch.Tensor]) -> list[torch.Tensor] | None:
        """Return what PyTorch gives on other weights and inputs, or None where it refuses them."""
        return self._attempted(leaves, lambda tensor: tensor)

    def _in_double(self, leaves: Mapping[Any, torch.Tensor]) -> list[torch.Tensor] | None:
        """Return what PyTorch gives in double precision, or None for a network that names another in its code."""
        return self._attempted(leaves, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    def _attempted(
        self, leaves: Mapping[Any, torch.Tensor], convert: Callable[[torch.Tensor], torch.Tensor]
    ) -> list[torch.Tensor] | None:
        inputs, held = dict(self._inputs), self._state()
        for node, leaf in self._graph.leaves.items():
            if leaf.role != "constant":
                (inputs if leaf.role == "input" else held)[leaf.name] = leaves[node]
        try:
            with unchanged(self._module):
                return _results(
                    _With(self._module, {name: convert(tensor) for name, tensor in held.items()}),
                    {name: convert(tensor) for name, tensor in inputs.items()},
                )
        except Exception as error:
            # Whatever PyTorch or the network's own code raises: it has been seen to work on its own weights.
            if isinstance(error, MemoryError) or is_about_memory(error):
                raise
            return None


class _With:
    """A network with other parameters and buffers, that is called as the network is.

    Args:
        module: the network.
        state: by the names of `state_tensors`, all of them.
    """

    def __init__(self, module: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
        names = [one.name for one in state_tensors(module)]
        self._module = module
        self._state = {name: state[names[place]] for name, place in places(module).items()}
        self.forward = module.forward

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        # PyTorch's own tying of weights would leave them in a module that has two names.
        return torch.func.functional_call(self._module, self._state, arguments, keywords, tie_weights=False)


@contextmanager
def _exported_path() -> Iterator[None]:
    """Have PyTorch compute attention as in the graph that is captured.

    Its fast path for evaluation fills in zeros for what is padded, where the graph has numbers.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _results(module: Any, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors that a network gives; what it changes in place are copies of its inputs."""
    returned = called(module, {name: tensor.clone() for name, tensor in inputs.items()})
    return [tensor.detach() for tensor in tensors_of(returned)]


def _refuse_nan(results: Sequence[torch.Tensor]) -> None:
    for index, result in enumerate(results):
        count = int(result.isnan().sum())
        if count:
            raise Rejection(
                "matched",
                f"PyTorch's own result, output{index}, is NaN in {count} of {result.numel()} elements on these inputs "
                "and weights, and NaN compares with nothing; give inputs on which the network gives numbers",
            )


def _as_array(tensor: torch.Tensor) -> NDArray[Any]:
    return as_array(tensor.detach().contiguous())


def _expected_result(own: torch.Tensor, precise: torch.Tensor, allowance: Allowance) -> ExpectedResult:
    """Return what a result is compared with: that in double precision, where it is the same one."""
    values = own.detach()
    if own.is_floating_point():
        wide = own.double()
        is_same = (precise - wide).abs() <= _NEAR * allowance.allowed
        values = torch.where(is_same & wide.isfinite(), precise.double(), wide)
    settled: NDArray[np.bool_] = allowance.unsettled.numpy()
    return ExpectedResult(mlir_dtype(own), _as_array(values), allowance.allowed.numpy(), settled)
