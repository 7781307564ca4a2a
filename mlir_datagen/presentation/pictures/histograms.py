"""Distributions of a number in several splits, over each other in one pair of axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.presentation.pictures.style import GRID, look, percent, plain
from mlir_datagen.presentation.quantities import Groups, distinct

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 9
_MOST_LETTERS = 14
_BINS = 24
_LARGE_RATIO = 20


def draw_distribution(axes: Axes, groups: Groups, label: str, written: Callable[..., str] = plain) -> None:
    """Draw the share of each group's values as bars where they are few different ones, and in bins otherwise.

    Args:
        axes: where.
        groups: the values.
        label: the title.
        written: how a value is written at the axis.
    """
    values = distinct(groups)
    if len(values) <= _MOST_BARS and np.all(values == np.round(values)):
        _draw_bars(axes, groups, values, written)
    else:
        _draw_bins(axes, groups, values, written)
    axes.set_title(label)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.tick_params(length=2.5)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(percent)


def _draw_bars(axes: Axes, groups: Groups, values: NDArray[Any], written: Callable[..., str]) -> None:
    shares = {
        name: [float(np.mean(numbers == value)) if len(numbers) else 0.0 for value in values]
        for name, numbers in groups.items()
    }
    draw_shares(axes, shares, [written(float(value)) for value in values])


def draw_shares(axes: Axes, shares: Mapping[str, Sequence[float]], ticks: Sequence[str]) -> None:
    """Draw bars beside each other: one for each group at each tick.

    Args:
        axes: where.
        shares: of each group, as many as there are ticks.
        ticks: what stands below the bars.
    """
    width = 0.8 / len(shares)
    for place, (name, heights) in enumerate(shares.items()):
        style = look(place)
        axes.bar(
            np.arange(len(ticks)) - 0.4 + width * place, heights, width, align="edge", color=style.colour,
            hatch=style.hatch, edgecolor="white", linewidth=0.4, label=name,
        )  # fmt: skip
    axes.set_xticks(range(len(ticks)), ticks)
    if sum(map(len, ticks)) > _MOST_LETTERS:
        axes.tick_params(axis="x", rotation=45, labelsize=8.5)


def bins_of(values: NDArray[Any]) -> tuple[NDArray[np.float64], bool]:
    """Return the edges of bins for values, which are in order, and whether they grow by a factor.

    Where they do, zeros have the first bin, which ends a bin below the least other value.
    """
    positive = values[values > 0]
    low, high = float(values[0]), float(values[-1])
    if low >= 0 and len(positive) and high / positive[0] >= _LARGE_RATIO:
        edges = np.geomspace(positive[0] * 0.999, high * 1.001, _BINS + 1)
        step = edges[1] / edges[0]
        return (edges if low > 0 else np.concatenate([edges[0] / step ** np.array([3, 1]), edges])), True
    margin = max((high - low) * 0.001, 1e-12)
    return np.linspace(low - margin, high + margin, _BINS + 1), False


def _draw_bins(axes: Axes, groups: Groups, values: NDArray[Any], written: Callable[..., str]) -> None:
    edges, is_log = bins_of(values)
    zeros = math.sqrt(edges[0] * edges[1]) if is_log and values[0] == 0 else None
    for place, (name, numbers) in enumerate(groups.items()):
        moved = numbers if zeros is None else np.where(numbers == 0, zeros, numbers)
        counted = np.histogram(moved, edges)[0] / max(len(numbers), 1)
        style = look(place)
        colour = style.colour
        if place == 0:
            axes.stairs(counted, edges, fill=True, color=colour, alpha=0.45, label=name)
        axes.stairs(
            counted, edges, color=colour, linestyle=style.line, linewidth=1.8, label=None if place == 0 else name
        )
    if is_log:
        from matplotlib.ticker import LogLocator

        axes.set_xscale("log")
        axes.grid(axis="x", color=GRID)
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        if zeros is not None:
            least = edges[2] * 0.99
            ticks = [tick for tick in axes.get_xticks() if least <= tick <= edges[-1]]
            axes.set_xticks([zeros, *ticks], ["0", *map(written, ticks)])
            axes.set_xlim(edges[0] * 0.8, edges[-1] * 1.2)
            return
    axes.xaxis.set_major_formatter(written)
