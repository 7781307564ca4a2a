"""How large the programs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.histograms import draw_distribution
from mlir_datagen.presentation.pictures.style import HEIGHTS, footnote, legend, new_figure, shown_splits
from mlir_datagen.presentation.quantities import LOOPS, OPERATIONS, TEXT, by_split, distinct, quantities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZES = (TEXT, OPERATIONS, LOOPS)


def draw_sizes(facts: Facts) -> Figure | None:
    """Draw how large the programs' texts are, and how many operations and loops they have."""
    splits = shown_splits(facts)
    panels, constant = {}, []
    for name, values, rows in quantities(facts):
        if name not in _SIZES or not len(values):
            continue
        groups = by_split(facts, splits, values, rows)
        if len(distinct(groups)) > 1:
            panels[name] = groups
        else:
            constant.append(f"{name}: always {int(values[0])}")
    if not panels:
        return None
    figure = new_figure(2.5)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, groups) in zip(all_axes, panels.items(), strict=True):
        draw_distribution(axes, groups, name)
    legend(figure, all_axes[0])
    footnote(figure, facts, HEIGHTS, *constant)
    return figure
