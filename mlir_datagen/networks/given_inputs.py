"""The example inputs of a network, from what the Python call is given: shapes and tensors, in order or by name."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mlir_datagen.errors import UserError, listed, nearest, said, shown
from mlir_datagen.mlir.element_types import torch_dtype
from mlir_datagen.networks.building import random_tensor
from mlir_datagen.networks.capture import input_names, inputs_by_name
from mlir_datagen.networks.model_spec import INPUT_DTYPES
from mlir_datagen.values import choice

Shape = Sequence[int]
Given = Shape | Sequence[Shape | torch.Tensor] | Mapping[str, Shape | torch.Tensor]
"""One shape; a shape or an example tensor for each input, in order; the same by the names of the inputs."""

_MOST_ELEMENTS = 1 << 59
"""Of a tensor; the number of bytes of a larger one would not fit into 64 bits."""


def example_tensors(network: torch.nn.Module, given: Any, dtypes: Any) -> dict[str, torch.Tensor]:
    """Return example inputs by name, in the order of the forward method: random ones for shapes, tensors as they are.

    Args:
        network: the network.
        given: what `Given` describes.
        dtypes: an element type for all shapes, or one for each input: in order, or by name.

    Raises:
        UserError: when it is something else, or the forward method has no such inputs.
        MemoryError: when there is not enough memory.
    """
    if isinstance(given, Mapping):
        names = inputs_by_name(network, list(given))
        inputs = [given[name] for name in names]
    else:
        several = isinstance(given, (list, tuple)) and any(
            isinstance(one, (list, tuple, torch.Tensor)) for one in given
        )
        inputs = list(given) if several else [given]
        names = input_names(network, len(inputs))
    kinds = _kinds(dtypes, names)
    generator = torch.Generator().manual_seed(0)
    return {name: _tensor(one, kind, generator) for name, one, kind in zip(names, inputs, kinds, strict=True)}


def _kinds(dtypes: Any, names: Sequence[str]) -> list[Any]:
    """Return the element type of each input; what is no list is refused as an element type is that there is not."""
    if isinstance(dtypes, Mapping):
        for name in dtypes:
            if name not in names:
                raise UserError(
                    f"input_dtypes has {name!r}, and the inputs are {listed(names)}.{nearest(str(name), names)}"
                )
        return [dtypes.get(name, INPUT_DTYPES[0]) for name in names]
    kinds = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes] * len(names)
    if len(kinds) != len(names):
        raise UserError(f"input_dtypes has {len(kinds)} element types, and there are {len(names)} inputs.")
    return kinds


def _tensor(one: Any, kind: Any, generator: torch.Generator) -> torch.Tensor:
    if isinstance(one, torch.Tensor):
        return one.detach().cpu()
    dtype = torch_dtype(choice(kind, "input_dtypes", INPUT_DTYPES))
    return random_tensor(_static_shape(one), dtype, generator)


def _static_shape(shape: Any) -> tuple[int, ...]:
    inner = shape if isinstance(shape, (list, tuple)) else [shape]
    if any(isinstance(one, (Mapping, list, tuple, torch.Tensor)) for one in inner):
        raise UserError(
            f"input_shape has {said(shown(shape))} for one input, which must have a shape, such as (1, 3, 224, 224), "
            "or an example tensor. A network that takes a mapping or a list of tensors as one input goes into a module "
            "whose forward method takes the tensors and puts them together."
        )
    try:
        extents = tuple(operator.index(extent) for extent in shape)
    except TypeError:
        extents = (0,)
    if not all(extent > 0 for extent in extents) or shape == []:
        raise UserError(
            f"input_shape has {shape!r}, and must be a tuple of numbers above 0, such as (1, 3, 224, 224). Dynamic "
            "shapes are not supported: a program has one iteration space, and its cost and its baseline are of that "
            "one."
        )
    if math.prod(extents) > _MOST_ELEMENTS:
        # PyTorch would not even come to try.
        raise MemoryError
    return extents
