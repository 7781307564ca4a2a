"""PyTorch's tensors as MLIR's tensor types."""

from __future__ import annotations

from typing import Any

from mlir_datagen.errors import UserError, listed
from mlir_datagen.mlir.types import TensorType, tensor

ELEMENT_TYPES = {
    "torch.bool": "i1",
    "torch.int8": "i8",
    "torch.int16": "i16",
    "torch.int32": "i32",
    "torch.int64": "i64",
    "torch.float32": "f32",
    "torch.float64": "f64",
}


def tensor_type(held: Any) -> TensorType:
    """Return the type of a tensor, a fake one included.

    Raises:
        UserError: when its dtype has no counterpart here, or its shape is not static.
    """
    dtype = ELEMENT_TYPES.get(str(held.dtype))
    if dtype is None:
        raise UserError(
            f"The network has a tensor of {held.dtype}; the manual converter knows {listed(ELEMENT_TYPES)}. "
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
