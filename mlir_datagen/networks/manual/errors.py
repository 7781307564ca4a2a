"""What a converter cannot do, said so that the person who has the model can act."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlir_datagen.errors import UserError, listed

_WRAPPERS = tuple(str(Path(__file__).parents[1] / name) for name in ("capture.py", "through_torch_mlir.py"))
"""Files of this package that call a network."""

_READING = ("aten._local_scalar_dense.default", "aten.item.default")
"""Operators that give a number for a tensor of one element."""


class UnknownOperatorError(UserError):
    """A network uses an operator that has no handler, and that PyTorch does not take apart into such that have one.

    Attributes:
        operator: its name as PyTorch prints it.
        module_path: where in the model it is used; empty for the model itself.
        source_line: the line of the model's code that uses it; empty where PyTorch does not know it.
    """

    def __init__(self, operator: str, module_path: str, source_line: str, others: Sequence[str] = ()) -> None:
        self.operator, self.module_path, self.source_line = operator, module_path, source_line
        more = f" The model has further operators without a handler: {listed(others)}." if others else ""
        super().__init__(
            f"The manual converter has no handler for the operator {operator}, which {place(module_path, source_line)} "
            f"uses.{more} "
            f"Register one: a function that is decorated with @register_operator({operator!r}) from "
            "mlir_datagen, takes the builder, the result's type and the operator's arguments, and returns "
            "the result's value; or one for the whole layer with @register_layer(its class)."
        )


def place(module_path: str, source_line: str) -> str:
    """Say where in the model something is, as `errors.module_path` and `errors.source_line` give it."""
    where = f'the module "{module_path}"' if module_path else "the model itself"
    return f"{where} ({source_line})" if source_line else where


def unknown_operators(nodes: Sequence[Any]) -> UserError:
    """Return the error for these nodes of the graph, which nothing can emit."""
    for node in nodes:
        if str(node.target) in _READING:
            return UserError(
                f"A number is read out of a tensor in {place(module_path(node), source_line(node))}; it depends on "
                "data, and a program on tensors has no such numbers. Keep it a tensor, without .item(), float() or "
                "int()."
            )
    names = list(dict.fromkeys(str(node.target) for node in nodes))
    return UnknownOperatorError(names[0], module_path(nodes[0]), source_line(nodes[0]), names[1:])


def module_path(node: Any) -> str:
    """Return the path of the innermost module that a node belongs to, such as `encoder.layer.0`."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def source_line(node: Any) -> str:
    """Return file, line and code of the last frame of the network's own that a node comes from; empty if unknown."""
    import torch

    own = (str(Path(torch.__file__).parent), *_WRAPPERS)
    frames = re.findall(r'File "(.+?)", line (\d+), in .*\n\s*(.*)', node.meta.get("stack_trace") or "")
    outside = [frame for frame in frames if not frame[0].startswith(own)]
    if not outside:
        return ""
    file, line, code = outside[-1]
    return f"{file}:{line}: {code}"
