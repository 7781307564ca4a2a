"""PyTorch's tensors as MLIR's tensor types."""

from __future__ import annotations

from typing import Any

from mlir_datagen.errors import UserError, listed
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.types import TensorType, tensor

_DTYPES = ("i1", "i8", "i16", "i32", "i64", "f32", "f64")
CONVERTED = {f"torch.{ELEMENT_TYPES[dtype].torch}": dtype for dtype in _DTYPES}
"""The dtypes of PyTorch that are converted, as it prints them, and what they become; an unsigned one is none."""


def tensor_type(held: Any) -> TensorType:
    """Return the type of a tensor, a fake one included.

    Raises:
        UserError: when its dtype has no counterpart here, or its shape is not static.
    """
    dtype = CONVERTED.get(str(held.dtype))
    if dtype is None:
        raise UserError(
            f"The network has a tensor of {held.dtype}; the manual converter knows {listed(CONVERTED)}. "
            "Convert it first, as with model.float()."
        )
    if not all(isinstance(extent, int) for extent in held.shape):
        raise UserError(
            f"The network has a tensor of shape {tuple(held.shape)}, and only static shapes are converted: export it "
            "without dynamic_shapes."
        )
    return tensor(tuple(held.shape), dtype)


def types_of(meta: Any) -> Any:
    """Return the type of what an operator gives: a type, a tuple of them, or None for what is no tensor."""
    if isinstance(meta, (list, tuple)):
        return tuple(types_of(each) for each in meta)
    return tensor_type(meta) if hasattr(meta, "dtype") else None
