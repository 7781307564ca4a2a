"""A network's exported graph, which can be run node by node on other values than its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.export.graph_signature import InputKind, OutputKind

from mlir_datagen.networks.capture import capture
from mlir_datagen.networks.manual.errors import module_path
from mlir_datagen.networks.manual.graph import GETITEM, needed_nodes
from mlir_datagen.networks.quiet import quiet

Compute = Callable[[Any, Any, Any], Any]
"""Gives a node's value from the values of its arguments and keyword arguments."""

_FILLED = ("zeros", "ones", "full", "empty", "arange", "scalar_tensor", "eye", "linspace", "tril_indices")
"""Operators whose result holds nothing of their arguments but shapes; also as `zeros_like` and `new_zeros`."""


class Leaf(NamedTuple):
    """A tensor that the graph takes.

    Attributes:
        role: `input`, `parameter`, `buffer`, or `constant` for a tensor that the forward method makes of numbers.
        name: PyTorch's; of a tensor that has several, the first.
    """

    role: str
    name: str


class NetworkGraph:
    """The graph that both converters convert, without in-place operators.

    Args:
        module: the network, in evaluation mode.
        inputs: example inputs, by name and in order.
        name: what the network is called in messages.

    Attributes:
        nodes: what the results depend on, in order: placeholders, then operations.
        leaves: the placeholders among them that hold a tensor.
        unused: names of inputs that no result depends on.
        results: the nodes of the results that are tensors, in order.

    Raises:
        UserError: when the network cannot be captured.
        MemoryError: when there is not enough memory.
    """

    def __init__(self, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str) -> None:
        exported = capture(module, inputs, name)
        with quiet():
            program = exported.run_decompositions({})
        self._module = program.graph_module
        self._constants = program.constants
        signature = program.graph_signature
        placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        names, first = iter(inputs), _first_names(module)
        all_leaves: dict[Any, Leaf] = {}
        for spec in signature.input_specs:
            if spec.arg.name not in placeholders:
                continue
            node = placeholders[spec.arg.name]
            if spec.kind == InputKind.USER_INPUT:
                if isinstance(node.meta.get("val"), torch.Tensor):
                    all_leaves[node] = Leaf("input", next(names))
            elif spec.kind in _ROLES:
                all_leaves[node] = Leaf(_ROLES[spec.kind], first.get(str(spec.target), str(spec.target)))
        (returned,) = program.graph.output_node().args
        self.results = [
            node
            for node, spec in zip(returned, signature.output_specs, strict=True)
            if spec.kind == OutputKind.USER_OUTPUT and isinstance(getattr(node, "meta", {}).get("val"), torch.Tensor)
        ]
        self.nodes = needed_nodes(program.graph, self.results, {})
        needed = set(self.nodes)
        self.leaves = {node: leaf for node, leaf in all_leaves.items() if node in needed}
        self.unused = [leaf.name for node, leaf in all_leaves.items() if leaf.role == "input" and node not in needed]
        self.users = {node: [user for user in node.users if user in needed] for node in self.nodes}

    def own_values(self, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> dict[Any, torch.Tensor]:
        """Return the values that the leaves have in a network, on some inputs."""
        held = {
            **dict(module.named_parameters(remove_duplicate=False)),
            **dict(module.named_buffers(remove_duplicate=False)),
            **self._constants,
        }
        return {
            node: (inputs[leaf.name] if leaf.role == "input" else held[leaf.name]).detach()
            for node, leaf in self.leaves.items()
        }

    def evaluate(
        self, leaves: Mapping[Any, torch.Tensor], compute: Compute | None = None, keep: bool = False
    ) -> dict[Any, Any]:
        """Run the graph.

        Args:
            leaves: the values of the leaves.
            compute: gives the nodes' values; left out, each is what its operator gives.
            keep: whether the values of all nodes are returned, and not those of the results alone.
        """
        values: dict[Any, Any] = dict(leaves)
        wanted = set(self.results)
        waiting = {node: len(users) for node, users in self.users.items()}
        for node in self.nodes:
            if node.op != "placeholder":
                values[node] = self._value(node, values, compute or call)
            if not keep:
                for source in node.all_input_nodes:
                    waiting[source] -= 1
                    if not waiting[source] and source not in wanted:
                        values.pop(source, None)
        return values if keep else {node: values[node] for node in self.results}

    def again(self, values: Mapping[Any, Any], changed: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return the values of the results where those of some nodes are others.

        Args:
            values: of all nodes, as `evaluate` returned them.
            changed: the other values.
        """
        overlaid = _Overlaid(values, changed)
        after = self.dependent(list(changed))
        for node in self.nodes:
            if node in after and node not in changed:
                overlaid.over[node] = self._value(node, overlaid, call)
        return {node: overlaid[node] for node in self.results}

    def computed(self, node: Any, values: Mapping[Any, Any], changed: Mapping[Any, Any]) -> Any:
        """Return the value of one node where those of some of its arguments are others."""
        return self._value(node, _Overlaid(values, changed), call)

    def dependent(self, sources: Sequence[Any]) -> set[Any]:
        """Return some nodes and all that depend on them, and not on their shapes alone."""
        found = set(sources)
        for node in self.nodes:
            if not _is_filled(node) and any(source in found for source in node.all_input_nodes):
                found.add(node)
        return found

    def place(self, node: Any) -> str:
        """Say what a node is, and where in the network: the same on every machine."""
        if node in self.leaves:
            return f"{self.leaves[node].role} {self.leaves[node].name}"
        source = node.args[0] if str(node.target) == GETITEM else node
        where = module_path(source)
        return f"operation {source.target} in {where}" if where else f"operation {source.target}"

    def _value(self, node: Any, values: Any, compute: Compute) -> Any:
        if node.op == "get_attr":
            return self._module.get_submodule(node.target)
        arguments = torch.fx.node.map_arg(node.args, lambda source: values[source])
        keywords = torch.fx.node.map_arg(node.kwargs, lambda source: values[source])
        return compute(node, arguments, keywords)


def _first_names(module: torch.nn.Module) -> dict[str, str]:
    """Return the first name of each parameter and buffer, by all that it has."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    first: dict[int, str] = {}
    return {name: first.setdefault(id(held), name) for name, held in named}


def call(node: Any, arguments: Any, keywords: Any) -> Any:
    """Return what a node's operator gives."""
    return node.target(*arguments, **keywords)


def operator_name(node: Any) -> str:
    """Return the name of a node's operator, of PyTorch's own without namespace and overload: such as `add`."""
    target = str(node.target)
    if target == GETITEM:
        return "getitem"
    return target.split(".")[1] if target.startswith("aten.") else target


def tensors(nested: Any) -> list[torch.Tensor]:
    """Return the tensors of nested lists, in order."""
    return [leaf for leaf in torch.utils._pytree.tree_leaves(nested) if isinstance(leaf, torch.Tensor)]


_ROLES = {InputKind.PARAMETER: "parameter", InputKind.BUFFER: "buffer", InputKind.CONSTANT_TENSOR: "constant"}


class _Overlaid:
    """Values of nodes, some of which are others."""

    def __init__(self, under: Mapping[Any, Any], over: Mapping[Any, Any]) -> None:
        self._under, self.over = under, dict(over)

    def __getitem__(self, node: Any) -> Any:
        return self.over[node] if node in self.over else self._under[node]


def _is_filled(node: Any) -> bool:
    name = operator_name(node)
    return node.op == "call_function" and name.removeprefix("new_").removesuffix("_like") in _FILLED
