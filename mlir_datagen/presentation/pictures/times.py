"""The measured times: how they are distributed, and those of each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.histograms import draw_distribution
from mlir_datagen.presentation.pictures.style import (
    COLOURS,
    FAINT,
    INK,
    count_text,
    duration,
    footnote,
    leading,
    legend,
    new_figure,
    other_label,
    short,
    shown_splits,
)
from mlir_datagen.presentation.quantities import by_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FAMILIES = 12
_FEW = 60


def draw_times(facts: Facts) -> Figure | None:
    """Draw the distribution of the times of one call in each split, and the times of each family."""
    measured = np.isfinite(facts.time_ns) & (facts.time_ns > 0)
    if not measured.any():
        return None
    times = facts.time_ns
    groups = _by_family(facts, times, measured)
    by_families = 0.3 * len(groups) + 0.9
    figure = new_figure(2.2 + by_families + 0.5)
    upper, lower = figure.subplots(2, 1, height_ratios=(2.2, by_families), sharex=True)
    places = np.flatnonzero(measured)
    draw_distribution(
        upper, by_split(facts, shown_splits(facts), times[places], places), "Share of the programs", duration
    )
    _draw_boxes(lower, groups)
    legend(figure, upper)
    disturbed = int(facts.disturbed.sum())
    missing = len(places) < len(times)
    footnote(
        figure,
        facts,
        f"one core of {short(facts.processor or '', 40)}, unoptimised code",
        f"{count_text(disturbed)} times are marked as disturbed" if disturbed else "",
        f"{count_text(len(times) - len(places))} programs have no time" if missing else "",
    )
    return figure


def _by_family(facts: Facts, times: NDArray[np.float64], measured: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Return the times of each family, the slowest first, and of the smallest ones together."""
    found = {name: times[measured & facts.family.rows(name)] for name in facts.family.words}
    found = {name: values for name, values in found.items() if len(values)}
    names, others = leading({name: len(values) for name, values in found.items()}, _MOST_FAMILIES)
    names.sort(key=lambda name: -float(np.median(found[name])))
    groups = {f"{short(name)} ({count_text(len(found[name]))})": found[name] for name in names}
    if others:
        groups[other_label(others, "families")] = np.concatenate([found[name] for name in others])
    return groups


def _draw_boxes(axes: Axes, groups: dict[str, NDArray[np.float64]]) -> None:
    axes.boxplot(
        list(groups.values()), orientation="horizontal", whis=(5, 95), widths=0.62, showfliers=False, patch_artist=True,
        boxprops={"facecolor": COLOURS[4], "edgecolor": INK, "linewidth": 0.8}, whiskerprops={"color": FAINT},
        capprops={"color": FAINT}, medianprops={"color": INK, "linewidth": 2},
    )  # fmt: skip
    for place, values in enumerate(groups.values(), 1):
        if len(values) <= _FEW:
            # Each one, a little apart from those beside it.
            heights = place + 0.18 * np.sin(np.arange(len(values)) * 2.4)
            axes.scatter(values, heights, s=9, color=COLOURS[0], edgecolors="white", linewidths=0.3, zorder=3)
    axes.set_yticks(range(1, len(groups) + 1), list(groups))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(duration)
    axes.set_xlabel("time of one call")
    axes.set_title("Each family: median, quarters, and the range of nine in ten")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
