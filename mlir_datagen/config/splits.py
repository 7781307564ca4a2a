"""The part of the config that says how many programs each split gets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from mlir_datagen.errors import UserError, listed, shown
from mlir_datagen.programs.content import canonical_order
from mlir_datagen.programs.program import EXTRACTED, NETWORKS_SPLIT
from mlir_datagen.sources.apportion import shares, smallest_integers
from mlir_datagen.sources.settings import SUITES
from mlir_datagen.values import mapping, whole_number

DEFAULT_SPLITS = {"train": 1000, "test": 200}
MOST_PROGRAMS = 100_000_000
CONSUMERS = ("mlir_rl",)
"""The formats that `mlir_datagen.export` has a file for; a test holds the two equal."""

RESERVED_SPLITS = (NETWORKS_SPLIT, EXTRACTED, SUITES, "weights", "measurements", "pictures", *CONSUMERS)
"""Folders of a dataset that are not random splits."""

_SPLIT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def parse_splits(num_samples: Any, splits: Any, ratios: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return the sizes and the ratios of the splits, both in canonical order.

    Sizes come from `splits`; or from `num_samples`, in proportion to the ratios; or are the default. The ratios are
    those of the sizes given, unless they are given themselves.
    """
    total = None
    if num_samples is not None:
        total = whole_number(num_samples, "num_samples", minimum=1, maximum=MOST_PROGRAMS, example="num_samples=500")
    sizes = None if splits is None else _parse_split_numbers(splits, "splits")
    given_ratios = _parse_split_numbers(ratios, "split_ratios") if ratios is not None else sizes or DEFAULT_SPLITS
    order = canonical_order(given_ratios)
    reduced = smallest_integers([Fraction(given_ratios[name]) for name in order])
    reduced_ratios = dict(zip(order, reduced, strict=True))
    if sizes is None:
        return scaled(sum(DEFAULT_SPLITS.values()) if total is None else total, reduced_ratios), reduced_ratios
    if set(sizes) != set(given_ratios):
        raise UserError(
            f"splits names {listed(sizes)} and split_ratios names {listed(given_ratios)}: they must be the same. "
            "Leave split_ratios out (split_ratios=null) to take the proportions of splits."
        )
    if total is not None and total != sum(sizes.values()):
        raise UserError(
            f"The splits add up to {sum(sizes.values())} programs, and num_samples is {total}. Give only one of them: "
            "num_samples alone scales the splits in proportion (splits=null), and splits alone decides the total "
            "(num_samples=null)."
        )
    return {name: sizes[name] for name in order}, reduced_ratios


def scaled(total: int, ratios: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of the splits in proportion; a split that would be empty is left out."""
    sizes = zip(ratios, shares(total, [Fraction(ratio) for ratio in ratios.values()]), strict=True)
    return {name: size for name, size in sizes if size}


def _parse_split_numbers(value: Any, key: str) -> dict[str, int]:
    example = f"{key}='{{train: 80, val: 10, test: 10}}'"
    numbers = mapping(value, key, example)
    if not numbers:
        raise UserError(f"{key} is empty: there must be at least one split. Type for instance {example}.")
    check_split_names(numbers, key, f"Type for instance {example}.")
    return {
        name: whole_number(number, f"{key}.{name}", minimum=1, maximum=MOST_PROGRAMS, example=example)
        for name, number in numbers.items()
    }


def check_split_names(names: Collection[str], key: str, instead: str) -> None:
    """Refuse names that no split of drawn programs may have.

    Args:
        names: the names.
        key: where they stand.
        instead: a sentence that says what to do.

    Raises:
        UserError: with the first such name.
    """
    for name in names:
        if name in RESERVED_SPLITS:
            raise UserError(
                f"{key} has a split named {shown(name)}, which is a folder of its own in a dataset. Choose another."
            )
        if not _SPLIT_NAME.fullmatch(name) or name == "all":
            raise UserError(
                f"{key} has a split named {shown(name)}, and it becomes the name of a folder and of a split of Hugging "
                f'Face: a letter, then letters, digits and underscores, 64 at most, not "all". {instead}'
            )
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(folded):
        raise UserError(f"{key} has names that differ only in case, which some file systems take for the same.")
