"""The pictures of a dataset, as PNG and SVG. The same facts give the same bytes with the same matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from mlir_datagen.presentation.facts import Facts
from mlir_datagen.presentation.pictures.costs import draw_costs
from mlir_datagen.presentation.pictures.extents import draw_dimensions
from mlir_datagen.presentation.pictures.operations import draw_operations
from mlir_datagen.presentation.pictures.sizes import draw_sizes
from mlir_datagen.presentation.pictures.splits import draw_splits
from mlir_datagen.presentation.pictures.style import SETTINGS, saved
from mlir_datagen.presentation.pictures.times import draw_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "pictures"
FORMATS = ("png", "svg")

_PICTURES: Mapping[str, tuple[str, Callable[[Facts], Figure | None]]] = {
    "operations": ("Share of each split's programs by family, and of the operations in them", draw_operations),
    "dimensions": ("How often each dimension has each value, and each element type occurs, by split", draw_dimensions),
    "costs": ("Flops of each program against the bytes that it moves, by family", draw_costs),
    "times": ("Time of one call of the unoptimised programs: distribution, and by family", draw_times),
    "sizes": ("Size of the programs: bytes of text, operations, loops", draw_sizes),
    "splits": ("The splits over each other: where the outlines differ, the data has shifted", draw_splits),
}


PICTURE_TEXTS: Mapping[str, str] = {f"{FOLDER}/{name}.png": text for name, (text, _) in _PICTURES.items()}
"""What the pictures that a card shows have to see, in words, by their paths, in the order in which it shows them."""


def draw_pictures(facts: Facts) -> dict[str, bytes]:
    """Return the pictures by their path in the dataset's folder, such as `pictures/operations.png`.

    A picture that would show nothing is left out: times where none were measured, splits over each other where there
    is one.
    """
    return {
        f"{FOLDER}/{name}.{format_}": saved(figure, format_) for name, figure in figures(facts) for format_ in FORMATS
    }


def figures(facts: Facts) -> Iterator[tuple[str, Figure]]:
    """Yield the pictures as figures, by name; what is done with one before the next is done with their settings."""
    from matplotlib import style

    # Not the settings that this machine's user may have.
    with style.context(["default", {**SETTINGS}]):
        for name, (_, draw) in _PICTURES.items():
            figure = draw(facts)
            if figure is not None:
                yield name, figure
