"""The distribution of each dimension, and of the element types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlir_datagen.presentation.dimensions import PARALLEL, REDUCTION
from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.histograms import draw_distribution, draw_shares
from mlir_datagen.presentation.pictures.style import (
    HEIGHTS,
    footnote,
    leading,
    legend,
    new_figure,
    other_label,
    percent,
    short,
    shown_splits,
)
from mlir_datagen.presentation.quantities import Groups, by_split, distinct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_MOST_PANELS = 12
_MOST_DTYPES = 6


def draw_dimensions(facts: Facts) -> Figure | None:
    """Draw how often each dimension has each value, in each split, and each element type occurs.

    Dimensions that have one value only, and those that fewer programs have than there is room for, are named.
    """
    groups = extent_groups(facts)
    constant = [name for name, values in groups.items() if len(distinct(values)) == 1]
    varied = [name for name in groups if name not in constant]
    dtypes = {split: facts.dtypes.get(split, {}) for split in shown_splits(facts)}
    with_dtypes = len({dtype for counts in dtypes.values() for dtype in counts}) > 1
    room = _MOST_PANELS - with_dtypes
    loops = [name for name in (PARALLEL, REDUCTION) if name in varied]
    named = sorted((name for name in varied if name not in loops), key=lambda name: (-_size(groups[name]), name))
    kept = set(named[: room - len(loops)])
    names = [name for name in varied if name in kept] + loops
    if not names and not with_dtypes:
        return None
    panels = len(names) + with_dtypes
    rows = -(-panels // _COLUMNS)
    figure = new_figure(1.65 * rows + 0.7)
    grid = list(figure.subplots(rows, min(_COLUMNS, panels), squeeze=False).flat)
    for axes in grid[panels:]:
        axes.remove()
    for axes, name in zip(grid, names, strict=False):
        draw_distribution(axes, groups[name], short(name))
    if with_dtypes:
        _draw_dtypes(grid[panels - 1], dtypes)
    legend(figure, grid[0])
    always = [f"{short(name)} = {distinct(groups[name])[0]}" for name in constant]
    left_out = len(named) - len(kept)
    footnote(
        figure,
        facts,
        HEIGHTS,
        f"always {', '.join(always[:5])}{f' and {len(always) - 5} more' if len(always) > 5 else ''}" if always else "",
        f"{left_out} more dimensions, of fewer programs" if left_out else "",
    )
    return figure


def extent_groups(facts: Facts) -> dict[str, Groups]:
    """Return the values of each dimension, by name and split; splits without any are left out."""
    found: dict[str, Groups] = {}
    for name, (rows, values) in facts.extents.items():
        groups = by_split(facts, shown_splits(facts), values, rows)
        if any(len(group) for group in groups.values()):
            found[name] = groups
    return found


def _size(groups: Groups) -> int:
    return sum(map(len, groups.values()))


def _draw_dtypes(axes: Axes, dtypes: Mapping[str, Mapping[str, int]]) -> None:
    counts = {split: Counter(of_split) for split, of_split in dtypes.items()}
    total = sum(counts.values(), Counter())
    words, others = leading(total, _MOST_DTYPES)
    groups = [[word] for word in words] + ([others] if others else [])
    shares = {
        split: [sum(of_split[word] for word in group) / max(sum(of_split.values()), 1) for group in groups]
        for split, of_split in counts.items()
    }
    labels = [short(word, 14) for word in words] + ([other_label(others, "types")] if others else [])
    draw_shares(axes, shares, labels)
    axes.set_title("element type")
    axes.yaxis.set_major_formatter(percent)
    axes.grid(axis="y")
    axes.tick_params(length=2.5)
