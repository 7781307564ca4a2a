from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from presented import composed, with_times

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation import pictures
from mlir_datagen.presentation.facts import dataset_facts
from mlir_datagen.presentation.pictures import FORMATS, PICTURE_TEXTS, draw_pictures
from mlir_datagen.presentation.pictures.style import saved

ALL = ["costs", "dimensions", "operations", "sizes", "splits", "times"]


def facts_of(folder):
    return dataset_facts(Dataset(folder))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return facts_of(with_times(composed(folder, "ops=[matmul,conv2d,elementwise,dag]", "num_samples=60")))


@pytest.fixture(scope="module")
def files(measured):
    return draw_pictures(measured)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Of all ops, without times."""
    return facts_of(composed(tmp_path_factory.mktemp("many"), "ops=[all]", "num_samples=150"))


@pytest.fixture(scope="module")
def one_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return facts_of(composed(folder, "ops=[matmul]", "num_samples=1", "split_ratios={train: 1}"))


def names(files):
    return sorted({path.removeprefix("pictures/").partition(".")[0] for path in files})


def sorted_figures(facts):
    return sorted(pictures.figures(facts), key=lambda pair: pair[0])


def test_which_pictures_there_are(files, many, one_program):
    assert names(files) == ALL
    assert len(files) == 2 * len(ALL)
    # Without times no picture of them; one program has some loops, and its other numbers have no distribution.
    assert [name for name, _ in sorted_figures(many)] == [name for name in ALL if name != "times"]
    assert [name for name, _ in sorted_figures(one_program)] == ["costs", "dimensions", "operations"]
    assert list(PICTURE_TEXTS) == [path for path in files if path.endswith(".png")]


def test_the_same_facts_give_the_same_bytes(measured, files):
    # Whatever else this process draws with.
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": None}):
        again = {
            (name, form): saved(figure, form)
            for name, figure in pictures.figures(measured)
            if name in ("costs", "times", "sizes")
            for form in FORMATS
        }
    assert again == {(name, form): files[f"pictures/{name}.{form}"] for name, form in again}


def test_pictures_are_what_their_names_say(files):
    for path, content in files.items():
        if path.endswith(".svg"):
            root = ElementTree.fromstring(content)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert b"<dc:date>" not in content
        else:
            image = matplotlib.image.imread(io.BytesIO(content), format="png")
            assert image.shape[1] == 1600
            assert len(content) < 600_000


def drawn_figures(facts):
    """Yield each figure after it was drawn, with its pixels."""
    for name, figure in pictures.figures(facts):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        yield name, figure, np.asarray(canvas.buffer_rgba())[::-1].astype(int)


def coloured_share(axes, pixels):
    """Return the share of pixels within axes that have a colour: axes, grids, letters and outlines are grey."""
    box = axes.get_window_extent()
    inside = pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1), :3]
    return float((inside.max(axis=2) - inside.min(axis=2) > 40).mean())


@pytest.mark.parametrize("which", ["measured", "many", "one_program"])
def test_no_axes_are_empty_and_all_can_be_read(which, request):
    for name, figure, pixels in drawn_figures(request.getfixturevalue(which)):
        for axes in figure.axes:
            where = f"{name}: {axes.get_title('left')}"
            assert coloured_share(axes, pixels) > 0.0001, where
            labels = [label for label in axes.get_xticklabels() if label.get_text() and not label.get_rotation()]
            boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
            assert all(one.x1 <= other.x0 for one, other in pairwise(boxes)), where
            lines = sorted((label.get_window_extent() for label in axes.get_yticklabels()), key=lambda box: box.y0)
            assert all(one.y1 <= other.y0 + 3 for one, other in pairwise(lines)), where
            assert min(label.get_fontsize() for label in [*labels, axes.title]) >= 8.5, where
            assert axes.get_title("left"), where


def test_that_test_sees_empty_axes(measured):
    figure = dict(pictures.figures(measured))["sizes"]
    empty = figure.axes[0]
    for artist in [*empty.patches, *empty.lines, *empty.collections]:
        artist.remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1].astype(int)
    assert coloured_share(empty, pixels) == 0
    assert coloured_share(figure.axes[1], pixels) > 0.01


def test_the_tail_of_many_families_is_put_together(many):
    axes = dict(pictures.figures(many))["operations"].axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    families = {family for counts in many.families.values() for family, count in counts.items() if count}
    assert labels[-1] == f"other ({len(families) - len(labels) + 1} families)"
    assert len(labels) == 15
    # Nothing is lost: the bars of a split are all of it.
    for bars in axes.containers:
        assert sum(bar.get_width() for bar in bars) == pytest.approx(1)


def test_a_shift_is_told(measured):
    same = [text.get_text() for axes in dict(pictures.figures(measured))["splits"].axes for text in axes.texts]
    assert not any("shifted" in text for text in same)
    in_test = measured.split.codes == measured.split.words.index("test")
    moved = replace(measured, flops=np.where(in_test, measured.flops * 1e6, measured.flops))
    figure = dict(pictures.figures(moved))["splits"]
    told = {axes.get_title("left"): axes.texts[0].get_text() for axes in figure.axes}
    assert told["flops"].startswith("shifted: gap 100.0%")
    assert not told["bytes moved"].startswith("shifted")
