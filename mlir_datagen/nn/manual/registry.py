"""Which handler emits which operator or layer: the built-in table, and what users register.

A handler of an operator is called with the builder, the result's type (a tuple of types where there are several
results), and the operator's arguments as PyTorch's schema orders them: tensors as values, lists as lists, everything
else as it is. It returns a value, or as many as there are results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.nn.manual import (
    activations,
    arithmetic,
    convolutions,
    creation,
    indexing,
    products,
    reductions,
    shapes,
)
from mlir_datagen.nn.manual.operands import Handler

if TYPE_CHECKING:
    import torch

LayerHandler = Callable[..., Any]

BUILT_IN: dict[str, Handler] = {
    **activations.HANDLERS,
    **arithmetic.HANDLERS,
    **convolutions.HANDLERS,
    **creation.HANDLERS,
    **indexing.HANDLERS,
    **products.HANDLERS,
    **reductions.HANDLERS,
    **shapes.HANDLERS,
}
"""Handlers by operator, named as PyTorch prints it: `aten.conv2d.default`."""

_operators: dict[str, Handler] = {}
_layers: dict[type, LayerHandler] = {}


class LayerCall(NamedTuple):
    """One call of a layer whose class has a handler.

    Attributes:
        module: the layer itself.
        results: the types of what the call returns.
        parameter: gives a parameter or a buffer of the layer as a value, by its name in the layer.
    """

    module: torch.nn.Module
    results: tuple[TensorType, ...]
    parameter: Callable[[str], Value]

    @property
    def result(self) -> TensorType:
        """The type of the first result."""
        return self.results[0]


def register_operator(name: str) -> Callable[[Handler], Handler]:
    """Return a decorator that makes a function the handler of an operator, in place of any other.

    Args:
        name: the operator as PyTorch prints it: `aten.conv2d.default` or `mylib.op.default`.
    """

    def register(handler: Handler) -> Handler:
        _operators[name] = handler
        return handler

    return register


def register_layer(layer: type[torch.nn.Module]) -> Callable[[LayerHandler], LayerHandler]:
    """Return a decorator that makes a function the handler of all layers of a class, in place of any other.

    The handler is called with the builder, a `LayerCall`, and the tensors that the layer takes from outside as values,
    in the order in which it first uses them. It returns a value, or as many as the layer has results.

    Args:
        layer: the class; layers of its subclasses are not meant.
    """

    def register(handler: LayerHandler) -> LayerHandler:
        _layers[layer] = handler
        return handler

    return register


def operator_handler(name: str) -> Handler | None:
    """Return the handler of an operator: the user's before ours, or None."""
    return _operators.get(name) or BUILT_IN.get(name)


def layer_handler(layer: type) -> LayerHandler | None:
    """Return the handler of a class of layers, or None."""
    return _layers.get(layer)
