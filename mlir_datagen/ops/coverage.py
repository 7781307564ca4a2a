"""Which of linalg's named operations there are op families for, and why there is none for others: docs/ops.md."""

from __future__ import annotations

import re

from mlir_datagen.errors import listed
from mlir_datagen.mlir.linalg_names import linalg_operations
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES

_LACKING = {
    r"generic|index|yield": "no named operation: what others are made of",
    r"contract|elementwise": "a category: how others are written with form=category",
    r".*_q|quantized_.*": "quantised: takes zero points beside its operands",
    r"winograd_.*": "a part of Winograd's algorithm, which means little alone",
    r"conv_2d_nhwgc_gfhwc": "not in MLIR 19",
}
"""Why there is no family, by a regular expression for the whole name."""


def covered() -> dict[str, list[str]]:
    """Return for each named operation of linalg that there is a family for what makes it: `elementwise add`."""
    found: dict[str, list[str]] = {}
    for family in FAMILIES.values():
        for variant in family.variants:
            kind = f" {variant.kind}" if variant.says_kind else ""
            if variant.operation.name is not None:
                makers = found.setdefault(variant.operation.name, [])
                makers += [f"{family.name}{kind}"] if f"{family.name}{kind}" not in makers else []
    return found


def lacking() -> dict[str, str]:
    """Return why there is no family for each other operation of linalg.

    Raises:
        StopIteration: when that is not known of one.
    """
    return {
        name: next(reason for pattern, reason in _LACKING.items() if re.fullmatch(pattern, name))
        for name in linalg_operations()
        if name not in covered()
    }


def words_of_operation(name: str) -> list[str]:
    """Return the element types that a named operation may have."""
    variants = [variant for family in FAMILIES.values() for variant in family.variants]
    return list(dict.fromkeys(word for each in variants if each.operation.name == name for word in each.words))


def ops_page() -> str:
    """Return the page on the ops, in Markdown."""
    names, reasons = covered(), lacking()
    without_name = [
        family.name for family in FAMILIES.values() if all(one.operation.name is None for one in family.variants)
    ]
    rows = [
        f"| `{name}` | {listed(f'`{maker}`' for maker in makers)} | {listed(words_of_operation(name))} |"
        for name, makers in sorted(names.items())
    ]
    total = len(names) + len(reasons)
    return (
        "# Ops\n\n"
        "Written by `python scripts/list_ops.py`, from the tables in `mlir_datagen/ops/`.\n\n"
        f"There are {len(FAMILIES)} ops, which make {len(names)} of the {total} operations that linalg has in the "
        f"toolchain. {listed(f'`{name}`' for name in without_name)} makes a `linalg.generic`. Element types are a word "
        "each: those of operands and result, or of the operands and then of the result. `select` has truth values as "
        "well.\n\n"
        "| linalg's operation | op, and its kind | element types |\n| --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n\nThere is no op for these:\n\n| linalg's operation | why |\n| --- | --- |\n"
        + "\n".join(f"| `{name}` | {reason} |" for name, reason in sorted(reasons.items()))
        + "\n\nThese draw programs, of one operation or several:\n\n"
        + "| op | what its programs are made of |\n| --- | --- |\n"
        + "\n".join(f"| `{name}` | {listed(family.vocabulary)} |" for name, family in DRAWN_FAMILIES.items())
        + "\n"
    )
