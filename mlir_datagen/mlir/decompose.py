"""Taking apart linalg's operations that have no body, so that what lowers linalg to loops knows them."""

from __future__ import annotations

import re

from torch_mlir import ir
from torch_mlir.dialects.transform import interpreter

_WITHOUT_BODY = re.compile(r"\blinalg\.(softmax|pack|unpack)\b")
_SCRIPT = """
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op) {
    %softmaxes = transform.structured.match ops{["linalg.softmax"]} in %module
        : (!transform.any_op) -> !transform.any_op
    transform.structured.decompose_interface %softmaxes : (!transform.any_op) -> !transform.any_op
    %packs = transform.structured.match ops{["linalg.pack"]} in %module
        : (!transform.any_op) -> !transform.op<"linalg.pack">
    transform.structured.lower_pack %packs : (!transform.op<"linalg.pack">)
        -> (!transform.op<"tensor.pad">, !transform.op<"tensor.expand_shape">, !transform.op<"linalg.transpose">)
    %unpacks = transform.structured.match ops{["linalg.unpack"]} in %module
        : (!transform.any_op) -> !transform.op<"linalg.unpack">
    transform.structured.lower_unpack %unpacks : (!transform.op<"linalg.unpack">)
        -> (!transform.op<"tensor.empty">, !transform.op<"linalg.transpose">, !transform.op<"tensor.collapse_shape">,
            !transform.op<"tensor.extract_slice">, !transform.op<"linalg.copy">)
    %functions = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    transform.apply_patterns to %functions { transform.apply_patterns.canonicalization } : !transform.any_op
    transform.yield
  }
}
"""
"""What it is taken apart into is MLIR's own; paddings of no width are left out after it."""


def decompose(module: ir.Module, text: str) -> None:
    """Take these operations of a program apart; without any, nothing is done.

    Args:
        module: the program.
        text: what it was parsed from.

    Raises:
        MLIRError: when MLIR does not take one apart.
    """
    if _WITHOUT_BODY.search(text) is None:
        return
    script = ir.Module.parse(_SCRIPT, module.context)
    interpreter.apply_named_sequence(module.operation, script.body.operations[0].operation, script.operation)
