"""What a network gives, as the tensors that its program has for results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_PLAIN = (str, bytes, int, float, complex, type(None), type, torch.nn.Module, torch.dtype, torch.device)


def tensors_of(returned: Any) -> list[torch.Tensor]:
    """Return all tensors of what a forward method returned, in order: both converters and the reference go by it.

    Lists, tuples, mappings, dataclasses, what is registered with PyTorch's pytree, and the public attributes of any
    other object are looked through, as deep as they go: a cache of keys and values, for one. What else a network
    returns, such as None, is no part of a program.
    """
    return list(_leaves(returned, ()))


def _leaves(held: Any, around: tuple[int, ...]) -> Iterator[torch.Tensor]:
    if isinstance(held, torch.Tensor):
        yield held
    elif not isinstance(held, _PLAIN) and id(held) not in around:
        for child in _children(held):
            yield from _leaves(child, (*around, id(held)))


def _children(held: Any) -> list[Any]:
    if isinstance(held, Mapping):
        return list(held.values())
    if isinstance(held, (list, tuple, set, frozenset)):
        return list(held)
    if dataclasses.is_dataclass(held):
        return [getattr(held, field.name) for field in dataclasses.fields(held)]
    if type(held) in torch.utils._pytree.SUPPORTED_NODES:
        children, _ = torch.utils._pytree.SUPPORTED_NODES[type(held)].flatten_fn(held)
        return list(children)
    return [child for name, child in getattr(held, "__dict__", {}).items() if not name.startswith("_")]
