"""What a network changes in its forward method beside giving results: it is refused, and undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from mlir_datagen.errors import UserError
from mlir_datagen.networks.results import tensors_of


def change_refused(module: torch.nn.Module, name: str) -> UserError:
    """Return the error for a network that changes a tensor of its own, named as PyTorch names it."""
    path = name.rpartition(".")[0]
    layer = dict(module.named_modules()).get(path, module)
    if layer.training:
        whose = f'The layer "{path}"' if path else "The network"
        advice = f"{whose} of class {type(layer).__name__} stays in training mode: put it into evaluation mode."
    else:
        advice = (
            "It is in evaluation mode already, so that its own code does this: let it compute with a copy, as with "
            "tensor.clone(), and return what is to be kept as a result."
        )
    return UserError(
        f'The network changes "{name}" in its forward method, which a function on tensors cannot. {advice}'
    )


def changed_state(exported: torch.export.ExportedProgram) -> list[str]:
    """Return the names of the inputs, parameters and buffers that a decomposed network changes in place."""
    signature = exported.graph_signature
    changed = (signature.user_inputs_to_mutate, signature.parameters_to_mutate, signature.buffers_to_mutate)
    return [name for names in changed for name in names.values()]


@contextmanager
def giving_tensors(module: torch.nn.Module) -> Iterator[None]:
    """Have a network give the list of its results' tensors, and refuse to be called where it replaces its own ones.

    Changes in place are no matter of this: the captured graph tells of those.

    Raises:
        UserError: out of the network's call, when it gives a parameter or a buffer another tensor.
    """
    before: dict[str, torch.Tensor] = {}

    def remember(*_: Any) -> None:
        before.clear()
        before.update(_state(module))

    def give(_: Any, __: Any, returned: Any) -> list[torch.Tensor]:
        after = _state(module)
        for name in (*before, *after):
            if before.get(name) is not after.get(name):
                raise change_refused(module, name)
        return tensors_of(returned)

    handles = [module.register_forward_pre_hook(remember), module.register_forward_hook(give)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


@contextmanager
def unchanged(module: torch.nn.Module) -> Iterator[None]:
    """Leave a network as it was, whatever happens meanwhile: the attributes of its layers and its tensors' values.

    Networks keep things between calls; while one is captured, these would be tensors without values.
    """
    attributes = [(layer.__dict__, dict(layer.__dict__)) for layer in module.modules()]
    containers = [_Container.of(value) for _, held in attributes for value in held.values()]
    tensors = [_Kept.of(tensor) for tensor in _own_tensors(attributes)]
    try:
        yield
    finally:
        for current, held in attributes:
            current.clear()
            current.update(held)
        for container in containers:
            container.restore()
        for kept in tensors:
            kept.restore()


def _own_tensors(attributes: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[torch.Tensor]:
    """Return the tensors that layers hold, each once: parameters, buffers, and others in attributes and lists."""
    found = [
        each
        for _, held in attributes
        for value in held.values()
        for each in (value.values() if isinstance(value, Mapping) else value if _is_list(value) else [value])
        if isinstance(each, torch.Tensor)
    ]
    return list({id(tensor): tensor for tensor in found}.values())


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


class _Container(NamedTuple):
    """A list, set or dictionary, and what it held."""

    current: Any
    held: Any

    @classmethod
    def of(cls, value: Any) -> _Container:
        return cls(value, type(value)(value) if type(value) in (dict, list, set) else None)

    def restore(self) -> None:
        if isinstance(self.held, list):
            self.current[:] = self.held
        elif self.held is not None:
            self.current.clear()
            self.current.update(self.held)


class _Kept(NamedTuple):
    """A tensor, its memory, a copy of its values if it has any, and whether it takes a gradient."""

    tensor: torch.Tensor
    memory: torch.Tensor
    values: torch.Tensor | None
    takes_gradient: bool

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Kept:
        memory = tensor.detach()
        # Those of other classes have their values elsewhere, or none yet.
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
        has_values = plain and tensor.layout == torch.strided and tensor.device.type != "meta"
        return cls(tensor, memory, memory.clone() if has_values else None, tensor.requires_grad)

    def restore(self) -> None:
        if self.values is None:
            return
        if self.tensor.data_ptr() != self.memory.data_ptr() or self.tensor.shape != self.memory.shape:
            self.tensor.data = self.memory
        if not torch.equal(self.memory, self.values):
            self.memory.copy_(self.values)
        if self.tensor.is_leaf and self.tensor.requires_grad != self.takes_gradient:
            self.tensor.requires_grad_(self.takes_gradient)
