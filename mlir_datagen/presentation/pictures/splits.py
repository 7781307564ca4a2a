"""The splits over each other, so that a shift between them shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.histograms import draw_distribution
from mlir_datagen.presentation.pictures.style import (
    ALARM,
    FAINT,
    HEIGHTS,
    duration,
    footnote,
    legend,
    new_figure,
    plain,
    shown_splits,
)
from mlir_datagen.presentation.quantities import (
    LOOPS,
    TIME,
    Groups,
    by_split,
    chance_gap,
    distinct,
    largest_gap,
    quantities,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 2


def draw_splits(facts: Facts) -> Figure | None:
    """Draw the distributions of what differs between programs, split over split; None of a single split.

    Over each is how far the splits' cumulative shares are apart, and whether chance explains that.
    """
    splits = shown_splits(facts)
    if len(splits) < 2:
        return None
    panels, programs = {}, {}
    for name, values, rows in quantities(facts):
        groups = {split: group for split, group in by_split(facts, splits, values, rows).items() if len(group)}
        if name != LOOPS and len(groups) > 1 and len(distinct(groups)) > 1:
            panels[name] = groups
            # Values of one program go together: only programs are independent.
            programs[name] = {split: len(np.unique(of)) for split, of in by_split(facts, splits, rows, rows).items()}
    if not panels:
        return None
    rows_of_panels = -(-len(panels) // _COLUMNS)
    figure = new_figure(2.0 * rows_of_panels + 0.7)
    grid = list(figure.subplots(rows_of_panels, min(_COLUMNS, len(panels)), squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, (name, groups) in zip(grid, panels.items(), strict=False):
        draw_distribution(axes, groups, name, duration if name == TIME else plain)
        axes.set_title(name, pad=17)
        _tell_gap(axes, groups, programs[name], len(panels) * (len(splits) - 1))
    legend(figure, grid[0])
    gaps = "gap: largest difference of cumulative shares, and how much of it can be chance"
    footnote(figure, facts, HEIGHTS, gaps)
    return figure


def _tell_gap(axes: Axes, groups: Groups, programs: Mapping[str, int], comparisons: int) -> None:
    """Write how far the first split and the farthest other one are apart."""
    first, *others = groups
    gap, by_chance = max(
        (
            (largest_gap(groups[first], groups[other]), chance_gap(programs[first], programs[other], comparisons))
            for other in others
        ),
        key=lambda pair: pair[0] - pair[1],
    )
    shifted = gap > by_chance
    axes.annotate(
        f"{'shifted: ' if shifted else ''}gap {gap:.1%} (chance {by_chance:.1%})", (0, 1), xytext=(0, 3),
        xycoords="axes fraction", textcoords="offset points", ha="left", va="bottom", fontsize=9,
        color=ALARM if shifted else FAINT, weight="bold" if shifted else "normal",
    )  # fmt: skip
