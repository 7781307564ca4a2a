"""Which handler emits which operator or layer: the built-in table, and what users register.

A handler of an operator is called with the builder, the result's type (a tuple of types where there are several
results), and the operator's arguments as PyTorch's schema orders them: tensors as values, lists as lists, everything
else as it is. It returns a value, or as many as there are results; among several, None for one that it does not emit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual import (
    activations,
    arithmetic,
    convolutions,
    creation,
    division,
    indexing,
    products,
    reductions,
    shapes,
)
from mlir_datagen.networks.manual.operands import Handler

if TYPE_CHECKING:
    import torch

LayerHandler = Callable[..., Any]

BUILT_IN: dict[str, Handler] = {
    **activations.HANDLERS,
    **arithmetic.HANDLERS,
    **convolutions.HANDLERS,
    **creation.HANDLERS,
    **division.HANDLERS,
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
        results: the types of the tensors that the call returns, in order.
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

    Raises:
        UserError: when the name is no such name, or what is decorated cannot be called.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+(\.\w+){2,}", name):
        printed = f"{name}.default" if re.fullmatch(r"\w+\.\w+", str(name)) else str(name)
        instead = printed if re.fullmatch(r"\w+(\.\w+){2,}", printed) else "aten.relu.default"
        raise UserError(
            f"register_operator got {_shown(name)}, and takes the name of an operator with its overload, as PyTorch "
            f'prints it. Write @register_operator("{instead}") above the handler.'
        )

    return _registering(_operators, name, f'register_operator("{name}")')


def register_layer(layer: type[torch.nn.Module]) -> Callable[[LayerHandler], LayerHandler]:
    """Return a decorator that makes a function the handler of all layers of a class, in place of any other.

    The handler is called with the builder, a `LayerCall`, and the tensors that the layer's forward method is called
    with as values, in the order of its arguments. It returns a value, or as many as forward returns, in its order.

    Args:
        layer: the class; layers of its subclasses are not meant.

    Raises:
        UserError: when it is no class of layers, or what is decorated cannot be called.
    """
    import torch

    if not isinstance(layer, type) or not issubclass(layer, torch.nn.Module):
        instead = type(layer).__name__ if isinstance(layer, torch.nn.Module) else "MyLayer"
        raise UserError(
            f"register_layer got {_shown(layer)}, and takes a class that inherits from torch.nn.Module: the class "
            f"itself, and neither a layer nor a name. Write @register_layer({instead}) above the handler."
        )

    return _registering(_layers, layer, f"register_layer({layer.__name__})")


def _registering(table: dict[Any, Any], key: Any, registered_with: str) -> Callable[[Any], Any]:
    """Return a decorator that puts a handler into a table, and refuses what cannot be called."""

    def register(handler: Any) -> Any:
        if not callable(handler):
            raise UserError(
                f"{registered_with} got {_shown(handler)} as the handler, and takes a function. Write "
                f"@{registered_with} above the function that emits it."
            )
        table[key] = handler
        return handler

    return register


def _shown(given: Any) -> str:
    """Return something as a message names it."""
    return (f"the function {given.__name__}" if hasattr(given, "__code__") else repr(given))[:60]


def operator_handler(name: str) -> Handler | None:
    """Return the handler of an operator: the user's before ours, or None."""
    return _operators.get(name) or BUILT_IN.get(name)


def layer_handler(layer: type) -> LayerHandler | None:
    """Return the handler of a class of layers, or None."""
    return _layers.get(layer)
