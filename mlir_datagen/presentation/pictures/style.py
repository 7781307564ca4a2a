"""How pictures look: colours that colour-blind people tell apart, and never colour alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlir_datagen.presentation.facts import Facts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito (Color Universal Design, 2008), without its yellow, which is faint on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#6B6B6B")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "x")
INK, FAINT, GRID, ALARM = "#222222", "#666666", "#DDDDDD", "#B33A00"

WIDTH = 8.0
"""Of a picture in inches; a card shows it about 800 pixels wide."""
DOTS = 200
"""To an inch, of a PNG: twice as many as are shown, for fine screens."""
MOST_SPLITS = 4
OTHER = "other"
HEIGHTS = "heights: share of each split"
"""What a figure of distributions says of its axes."""

SETTINGS: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.minor.bottom": False,
    "ytick.minor.left": False,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "text.color": INK,
    "text.parse_math": False,
    # What makes identifiers in SVG, which are random otherwise.
    "svg.hashsalt": "mlir_datagen",
    "path.simplify": True,
}


class Look(NamedTuple):
    """How one of several groups is drawn."""

    colour: str
    hatch: str
    line: str
    marker: str


def look(place: int) -> Look:
    """Return how the group of a place is drawn; what is beyond the last one looks like it."""
    colour = min(place, len(COLOURS) - 1)
    return Look(COLOURS[colour], HATCHES[colour], LINES[min(place, len(LINES) - 1)], MARKERS[colour])


def new_figure(height: float) -> Figure:
    """Return an empty figure of a height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def saved(figure: Figure, format_: str) -> bytes:
    """Return a figure as `png` or `svg`: the same bytes for the same figure."""
    stream = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if format_ == "svg" else {"Software": None}
    figure.savefig(stream, format=format_, dpi=DOTS, metadata=metadata)
    # What was laid out stays where it is; laying out takes half of the time.
    figure.set_layout_engine("none")
    return stream.getvalue()


def shown_splits(facts: Facts) -> list[str]:
    """Return the splits that a picture has room for: the largest, in the dataset's order."""
    sizes = {split: sum(facts.families[split].values()) for split in facts.splits}
    largest = sorted(sizes, key=lambda split: -sizes[split])[:MOST_SPLITS]
    return [split for split in facts.splits if split in largest]


def leading(counts: Mapping[str, float], most: int) -> tuple[list[str], list[str]]:
    """Return the words with the largest counts, the largest first, and the others."""
    order = sorted(counts, key=lambda word: (-counts[word], word))
    # One alone under the name of others would take as much room.
    return (order, []) if len(order) <= most + 1 else (order[:most], order[most:])


def other_label(others: Sequence[str], what: str) -> str:
    """Return how words that are put together are called, such as `other (55 families)`."""
    return f"{OTHER} ({len(others)} {what})"


def short(word: str, longest: int = 28) -> str:
    """Return a word that may be anyone's, without what cannot be drawn, and cut in its middle where it is long."""
    word = "".join(letter if letter.isprintable() else "?" for letter in word)
    return word if len(word) <= longest else f"{word[: longest - 10]}…{word[-9:]}"


def count_text(number: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\N{THIN SPACE}")


def plain(value: float, _: object = None) -> str:
    """Return a number as an axis has it: 0.01, 1, 100, 10k, 1M, 1G."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or not value else f"{value:.0e}".replace("e-0", "e-")


def percent(value: float, _: object = None) -> str:
    """Return a share as an axis has it."""
    return f"{value * 100:.3g}%"


def duration(value: float, _: object = None) -> str:
    """Return nanoseconds as an axis has them."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if value >= size * 0.999:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g} ns"


def footnote(figure: Figure, facts: Facts, *remarks: str, sampled: bool = True) -> None:
    """Write remarks under a figure, and of how many programs it is where that is not all.

    Args:
        figure: the figure.
        facts: of the dataset.
        remarks: sentences without their full stop; empty ones are left out.
        sampled: whether it shows the sampled programs, and not what was counted over all.
    """
    said = [remark for remark in remarks if remark]
    if len(facts.splits) > MOST_SPLITS:
        said.insert(0, f"the {MOST_SPLITS} largest of {len(facts.splits)} splits")
    if sampled and facts.is_sample:
        said.append(f"{count_text(len(facts.names))} of {count_text(facts.programs)} programs, chosen by a fixed rule")
    if said:
        figure.supxlabel("; ".join(said), x=0.01, ha="left", fontsize=9, color=FAINT, wrap=True)


def legend(figure: Figure, axes: Axes, columns: int = MOST_SPLITS) -> None:
    """Put the legend of some axes over the figure, if it tells several things apart."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=2.2)
