"""The mix of operations in each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.style import (
    count_text,
    footnote,
    leading,
    legend,
    look,
    new_figure,
    other_label,
    percent,
    short,
    shown_splits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 14

_Counts = Mapping[str, Mapping[str, int]]
"""How often each word occurs in each split."""


def draw_operations(facts: Facts) -> Figure | None:
    """Draw which share of each split's programs every family has, and of the operations in them, every operation."""
    splits = shown_splits(facts)
    panels: list[tuple[str, str, _Counts]] = []
    families = {split: facts.families[split] for split in splits}
    operations = {split: facts.operations.get(split, {}) for split in splits}
    if any(len(counts) > 1 for counts in families.values()) or not any(operations.values()):
        panels.append(("families", "programs of each family", families))
    if _differ(families, operations):
        panels.append(("operations", "operations in all programs", operations))
    panels = panels or [("families", "programs of each family", families)]
    rows = [min(len(_total(counts)), _MOST + 1) for _, _, counts in panels]
    bar = 0.2 if len(splits) > 2 else 0.26
    heights = [bar * count * max(len(splits), 1.4) / 1.6 + 0.75 for count in rows]
    figure = new_figure(sum(heights) + 0.5)
    all_axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (what, label, counts) in zip(all_axes, panels, strict=True):
        _draw(axes, counts, what, f"Share of the {label}")
    legend(figure, all_axes[0])
    footnote(figure, facts, sampled=False)
    return figure


def _total(counts: _Counts) -> Counter[str]:
    total = Counter[str]()
    for of_split in counts.values():
        total.update(of_split)
    return Counter({word: number for word, number in total.items() if number})


def _differ(families: _Counts, operations: _Counts) -> bool:
    """Tell whether the operations say something that the families do not."""
    names = set(_total(operations))
    return bool(names) and sorted(_total(operations).values()) != sorted(_total(families).values())


def _draw(axes: Axes, counts: _Counts, what: str, label: str) -> None:
    words, others = leading(_total(counts), _MOST)
    labels = [short(word) for word in words] + ([other_label(others, what)] if others else [])
    height = 0.8 / len(counts)
    for place, (split, of_split) in enumerate(counts.items()):
        total = max(sum(of_split.values()), 1)
        shares = [of_split.get(word, 0) / total for word in words]
        shares += [sum(of_split.get(word, 0) for word in others) / total] if others else []
        style = look(place)
        axes.barh(
            np.arange(len(labels)) - 0.4 + height * place, shares, height, align="edge", color=style.colour,
            hatch=style.hatch, edgecolor="white", linewidth=0.4,
            label=f"{short(split)} ({count_text(sum(of_split.values()))})",
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(percent)
    axes.set_title(label)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
