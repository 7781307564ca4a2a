"""Configs over all families, drawn by hypothesis: right ones, and ones in which one value is spoilt."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

from helpers import raw_config
from hypothesis import strategies as st

from mlir_datagen.ops import FAMILIES, PROGRAM_FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.structured_operation import FORMS


class AnyConfig(NamedTuple):
    """A config as plain values.

    Attributes:
        raw: the values.
        spoilt: the key of the value that is not allowed; None where all may be.
    """

    raw: dict[str, Any]
    spoilt: str | None


def _bounds(axis: str) -> tuple[int, int]:
    """Return sizes so that most windows fit into what they move over."""
    if axis.startswith(("kernel", "stride", "dilation")):
        return (1, 2)
    return (4, 9) if axis in ("depth", "height", "width", "length") else (1, 6)


@st.composite
def _axis(draw: st.DrawFn, axis: str) -> Any:
    low, high = _bounds(axis)
    if draw(st.booleans()):
        return draw(st.lists(st.integers(low, high), min_size=2, max_size=4))
    begin = draw(st.integers(low, high))
    return {"from": begin, "to": draw(st.integers(begin, high + 3)), "step": draw(st.integers(1, 3))}


def _some(choices: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(list(choices)), min_size=1, max_size=4, unique=True)


@st.composite
def _span(draw: st.DrawFn, most: int) -> Any:
    least = draw(st.integers(1, most))
    return draw(st.sampled_from([least, {"from": least, "to": draw(st.integers(least, most))}]))


@st.composite
def _grid_op(draw: st.DrawFn, name: str) -> dict[str, Any]:
    family = FAMILIES[name]
    variants = draw(_some(family.variants))
    grid = {axis: draw(_axis(axis)) for axis in family.axes}
    shared = [axis for axis in family.axes if all(axis in variant.axes for variant in family.variants)]
    if len(shared) > 1 and draw(st.booleans()):
        one, other = draw(st.permutations(shared))[:2]
        grid[one] = {"same_as": other}
    # Element types that all of these have, so that each choice has programs.
    words = [word for word in family.dtypes if all(word in variant.words for variant in variants)]
    op: dict[str, Any] = {"weight": draw(st.sampled_from([1, 0.5, 3])), "grid": grid}
    if words or draw(st.booleans()):
        op["dtypes"] = draw(_some(words or family.dtypes))
    if len(family.kinds) > 1:
        op["kinds"] = list(dict.fromkeys(variant.kind for variant in variants))
    if family.ranks:
        op["ranks"] = list(dict.fromkeys(variant.rank for variant in variants))
    return op


@st.composite
def _drawn_op(draw: st.DrawFn, name: str) -> dict[str, Any]:
    family = DRAWN_FAMILIES[name]
    values = {
        "vocabulary": _some(family.vocabulary),
        "length": _span(6),
        "loops": _span(4),
        "operations": _span(5),
        "fan_out": st.integers(1, 3),
        "depth": st.none() | st.integers(1, 5),
    }
    settings = {key: draw(values[key]) for key in family.settings}
    if draw(st.booleans()):
        settings["dtypes"] = draw(_some(family.dtypes))
    return {"weight": 1, **settings, "grid": {axis: draw(_axis(axis)) for axis in family.axes}}


_NONE_OF_THEM: list[Any] = [None, [], 0, -1, True, 1.5, "x", {}, [0], ["x"], [None], {"from": 5, "to": 2, "step": 1}]
_SPOILT: dict[str, list[Any]] = {
    "limits.max_flops": [0, -5, "1", {}],
    "limits.min_flops": [0, True],
    "limits": [{"max_bytes": 9, "least": 3}, {"min_flops": 10, "max_flops": 9, "max_bytes": None}],
    "form": [{"named": 0}, {"other": 1}, {"named": -1}, {"generic": "1"}, [1]],
    "strata": [{"seconds": [1.0]}, {"seconds": [1.0, 0.5]}, {"shares": [1]}, {"seconds": [1e-9, 1.0], "shares": []}],
    "num_samples": [0, -1, "7", 1.5, True],
    "splits": [{}, {"train": 0}, {"train": -1}, {"a b": 3}, [3]],
    "split_ratios": [{}, {"train": 0}, {"train": 1.5}],
    "seed": [-1, 1 << 63, "0"],
    "on_exhausted": ["never", None],
    "storage": ["disk", True],
    "name": ["", "a/b", 7],
    "check": [{"level": "parsed", "fraction": 1.0}, {"level": "parse", "fraction": 2}],
}
"""Values that are not allowed, whatever the others are."""


@st.composite
def _with_spoilt(draw: st.DrawFn, raw: dict[str, Any]) -> AnyConfig:
    """Put one value that is not allowed into a config."""
    name = draw(st.sampled_from(sorted(raw["ops"])))
    op = raw["ops"][name]
    places = {
        **_SPOILT,
        **{f"ops.{name}.{key}": [None, [], 0, ["x"], {}, -1, "x"] for key in op if key not in ("grid", "depth")},
        **{f"ops.{name}.grid.{axis}": _NONE_OF_THEM for axis in op["grid"]},
        f"ops.{name}.grid": [{}, [], None, {**op["grid"], "more": [1]}],
        f"ops.{name}.more": [1],
        f"ops.{name}x": [op],
    }
    if "dtypes" in op:
        lacking = sorted({"f64", "f16", "i8", "i8_i32", "f8", "f33"} - set(PROGRAM_FAMILIES[name].dtypes))
        places[f"ops.{name}.dtypes"] = [[word] for word in lacking]
    # A weight of nothing alone, which is allowed as long as another op has one.
    places[f"ops.{name}.weight"] = [-1, "x", None, float("nan"), []]
    key = draw(st.sampled_from(sorted(places)))
    *parents, last = key.split(".")
    node = raw
    for parent in parents:
        node = node[parent]
    node[last] = deepcopy(draw(st.sampled_from(places[key])))
    return AnyConfig(raw, key)


@st.composite
def any_config(draw: st.DrawFn) -> AnyConfig:
    """Draw a config over one to three families; in one of three, one value is spoilt."""
    either = st.sampled_from(list(FAMILIES)) | st.sampled_from(list(DRAWN_FAMILIES))
    names = draw(st.lists(either, min_size=1, max_size=3, unique=True))
    raw = raw_config(["matmul"], storage=draw(st.sampled_from(["both", "files", "parquet"])))
    raw["ops"] = {name: draw(_grid_op(name) if name in FAMILIES else _drawn_op(name)) for name in names}
    raw["seed"] = draw(st.integers(0, 1 << 32))
    raw["on_exhausted"] = draw(st.sampled_from(["redistribute", "redistribute", "error"]))
    if draw(st.booleans()):
        raw["num_samples"] = draw(st.integers(1, 20))
    else:
        raw["num_samples"] = None
        raw["splits"] = draw(st.dictionaries(st.sampled_from(["train", "val", "test"]), st.integers(1, 7), min_size=1))
    if draw(st.booleans()):
        raw["form"] = draw(st.sampled_from([{form: 1} for form in FORMS] + [dict.fromkeys(FORMS, 1)]))
    if draw(st.integers(0, 4)) == 0:
        raw["limits"]["max_flops"] = draw(st.integers(500, 50000))
    if draw(st.integers(0, 4)) == 0:
        raw["strata"] = {"seconds": [1e-9, 1e-6, 1.0], "shares": draw(st.sampled_from([None, [3, 1]]))}
    raw["executor"] = {"kind": "serial"}
    return draw(_with_spoilt(raw)) if draw(st.integers(0, 2)) == 0 else AnyConfig(raw, None)
