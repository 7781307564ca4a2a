"""Which of PyTorch's core operators the manual converter has, and which it lacks: docs/manual_converter.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from mlir_datagen.errors import listed
from mlir_datagen.networks.manual.graph import decompositions
from mlir_datagen.networks.manual.registry import BUILT_IN
from mlir_datagen.networks.manual.tensors import CONVERTED

_WIDTH = 120


def core_operators() -> list[str]:
    """Return the operators that PyTorch takes all others apart into (its core ATen set), as it prints them."""
    import torch

    # The attributes of torch.ops.aten are only those that were used before.
    names = [name.removeprefix("aten::") for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    parts = [name.partition(".")[::2] for name in names]
    operators = [getattr(getattr(torch.ops.aten, packet), overload or "default") for packet, overload in parts]
    return sorted(str(operator) for operator in operators if torch.Tag.core in operator.tags)


def lacking_operators() -> list[str]:
    """Return the core operators that have no handler here, and that nothing takes apart."""
    apart = {str(operator) for operator in decompositions()}
    return [name for name in core_operators() if name not in BUILT_IN and name not in apart]


def coverage_page() -> str:
    """Return the page on what the manual converter has and lacks, in Markdown."""
    import torch

    core, lacking = core_operators(), lacking_operators()
    return (
        "\n\n".join(
            [
                "# Operators of the manual converter",
                "Written by `python scripts/list_operators.py`, from the handlers that there are and PyTorch "
                f"{torch.__version__.partition('+')[0]}.",
                f"It converts tensors of {listed(CONVERTED)}.",
                f"Of the {len(core)} core operators, of which all others are made, {len(core) - len(lacking)} have "
                f"a handler or are taken apart into such. These {len(lacking)} are not converted:",
                _paragraph(lacking),
                f"There are {len(BUILT_IN)} handlers. Some refuse arguments that PyTorch takes, and say so:",
                _paragraph(sorted(BUILT_IN)),
            ]
        )
        + "\n"
    )


def _paragraph(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in names), _WIDTH, break_on_hyphens=False)
