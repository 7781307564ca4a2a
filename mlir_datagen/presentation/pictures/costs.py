"""Flops against bytes, and how near to the machine's limits the measured times are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.style import (
    COLOURS,
    FAINT,
    INK,
    OTHER,
    count_text,
    footnote,
    leading,
    legend,
    look,
    new_figure,
    other_label,
    plain,
    short,
)
from mlir_datagen.presentation.quantities import Roof, empirical_roof

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FAMILIES = 5
_MOST_POINTS = 4000
_BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}


def draw_costs(facts: Facts) -> Figure | None:
    """Draw the flops of programs against the bytes that they move, and their speed against their intensity."""
    known = (facts.flops > 0) & (facts.bytes_moved > 0)
    if not known.any():
        return None
    roof = empirical_roof(facts)
    groups = family_groups(facts, _MOST_FAMILIES)
    thinned = _thinned(known)
    figure = new_figure(4.3 if roof is None else 4.4)
    panels = figure.subplots(1, 1 if roof is None else 2, squeeze=False)[0]
    _draw_plane(panels[0], facts, groups, thinned)
    if roof is not None:
        _draw_roofline(panels[1], facts, groups, _thinned(known & np.isfinite(facts.time_ns)), roof)
    legend(figure, panels[0], columns=3)
    without = int((facts.flops == 0).sum())
    footnote(
        figure,
        facts,
        f"{count_text(without)} programs without arithmetic are not on these axes" if without else "",
        f"{count_text(len(thinned))} points drawn" if len(thinned) < known.sum() else "",
        "" if roof is None else f"one core of {short(facts.processor or '', 40)}, unoptimised code",
    )
    return figure


def family_groups(facts: Facts, most: int) -> dict[str, NDArray[np.bool_]]:
    """Return which programs are of each of the largest families, and of the others together."""
    sizes = dict(zip(facts.family.words, np.bincount(facts.family.codes, minlength=1).tolist(), strict=False))
    names, others = leading(sizes, most)
    groups = {short(name): facts.family.rows(name) for name in names}
    if others:
        groups[other_label(others, "families")] = ~np.any(list(groups.values()), axis=0)
    return groups


def _thinned(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places of some of the chosen programs: all where they are few."""
    places = np.flatnonzero(chosen)
    if len(places) <= _MOST_POINTS:
        return places
    return np.sort(np.random.default_rng(0).choice(places, _MOST_POINTS, replace=False))


def _scatter(
    axes: Axes, groups: dict[str, NDArray[np.bool_]], places: NDArray[np.int64], x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:  # fmt: skip
    size = 34 if len(places) < 200 else 16 if len(places) < 1500 else 9
    for number, (name, members) in enumerate(groups.items()):
        chosen = places[members[places]]
        style = look(len(COLOURS) - 1 if name.startswith(OTHER) else number)
        outline: dict[str, Any] = {} if style.marker == "x" else {"edgecolors": "white", "linewidths": 0.3}
        axes.scatter(
            x[chosen], y[chosen], s=size, marker=style.marker, color=style.colour, alpha=0.75, label=name,
            zorder=1.5 if name.startswith(OTHER) else 2, **outline,
        )  # fmt: skip


def _draw_plane(axes: Axes, facts: Facts, groups: dict[str, NDArray[np.bool_]], places: NDArray[np.int64]) -> None:
    _scatter(axes, groups, places, facts.bytes_moved, facts.flops)
    _to_logarithms(axes)
    axes.margins(0.08)
    axes.set_xlabel("bytes moved (arguments and results)")
    axes.set_ylabel("flops")
    axes.set_title("Arithmetic against memory traffic")
    axes.grid()
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    for intensity in (0.01, 0.1, 1, 10, 100, 1000):
        ends = np.array([low, high])
        if ends[1] * intensity < bottom or ends[0] * intensity > top:
            continue
        axes.plot(ends, ends * intensity, color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
        # Where the line leaves the axes.
        at = min(high, top / intensity)
        if at > low * 4:
            axes.annotate(
                f"{intensity:g} flop/B", (at, at * intensity), xytext=(-3, -3), textcoords="offset points", ha="right",
                va="top", fontsize=8.5, color=FAINT, bbox=_BEHIND,
            )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)


def _draw_roofline(
    axes: Axes, facts: Facts, groups: dict[str, NDArray[np.bool_]], places: NDArray[np.int64], roof: Roof
) -> None:
    with np.errstate(invalid="ignore"):
        speed = facts.flops / facts.time_ns
    _scatter(axes, groups, places, facts.intensity, speed)
    low, high = float(facts.intensity[places].min()) / 2, float(facts.intensity[places].max()) * 2
    reach = np.geomspace(low, high, 200)
    axes.plot(reach, np.minimum(reach * roof.gigabytes, roof.gigaflops), color=INK, linewidth=1.8)
    _to_logarithms(axes)
    axes.set_xlabel("arithmetic intensity (flops per byte)")
    axes.set_ylabel("speed (Gflop/s)")
    axes.set_title("Speed, and the best seen here as a roof")
    axes.grid()
    axes.annotate(
        f"best {roof.gigaflops:.3g} Gflop/s", (high, roof.gigaflops), xytext=(-2, 4), textcoords="offset points",
        ha="right", fontsize=9, color=INK,
    )  # fmt: skip
    axes.annotate(
        f"best {roof.gigabytes:.3g} GB/s", (low, low * roof.gigabytes), xytext=(5, 8), textcoords="offset points",
        fontsize=9, color=INK,
    )  # fmt: skip
    axes.set_ylim(top=roof.gigaflops * 2.5)


def _to_logarithms(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(plain)
        # A range within one power of ten would have no number otherwise.
        axis.set_minor_formatter("")
