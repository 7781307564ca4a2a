"""The group ops: what stands for an op without a file, what the selections choose, and the saved element types."""

from __future__ import annotations

import pytest

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.op_options import op_option, selections
from mlir_datagen.ops import FAMILIES, PROGRAM_FAMILIES, contractions, coverage, elementwise, movement, windows

CONTRACTIONS = {family.name for family in contractions.FAMILIES}
POOLINGS = {family.name for family in windows.FAMILIES if family.name.startswith("pooling")}
CONVOLUTIONS = {family.name for family in windows.FAMILIES} - POOLINGS
OTHERS = {family.name for family in (*elementwise.FAMILIES, *movement.FAMILIES)}
SELECTED = {
    "contractions": CONTRACTIONS,
    "convolutions": CONVOLUTIONS,
    "poolings": POOLINGS,
    "memory_bound": POOLINGS | OTHERS,
    "named": set(FAMILIES) - {"relu"},
    "all": set(PROGRAM_FAMILIES),
}


def test_the_selections_are_these():
    assert set(selections()) == set(SELECTED)


@pytest.mark.parametrize(
    ("name", "dims"),
    [*((name, "default") for name in SELECTED), *(("all", dims) for dims in ("small", "large", "wide"))],
)
def test_a_selection_has_the_ops_that_it_says(name, dims):
    assert set(compose_config([f"ops=[{name}]", f"dims={dims}"]).ops) == SELECTED[name]


def test_named_has_every_named_operation_and_no_other():
    ops = compose_config(["ops=[named]"]).ops.values()
    made = {operation.name for op in ops for variant in op.variants for operation in (variant.operation, *variant.then)}
    assert made == set(coverage.covered())


def test_a_selection_and_an_op_of_it_are_the_selection():
    both, alone = (compose_config([f"ops=[{ops}]"]) for ops in ("contractions,matmul", "contractions"))
    assert both.fingerprint == alone.fingerprint


@pytest.mark.parametrize("name", ["batch_matmul", "conv2d", "matmul", "relu"])
def test_what_stands_for_a_file_says_what_the_files_say(name):
    saved = compose_config([f"ops=[{name}]"]).ops[name].to_saved()
    option = op_option(FAMILIES[name])
    assert set(option["grid"]) == set(saved["grid"])
    same = {axis for axis, values in saved["grid"].items() if "same_as" in values}
    assert same == {axis for axis, values in option["grid"].items() if "same_as" in values}


def test_element_types_are_saved_where_they_are_not_the_default():
    """So that datasets from before keep their fingerprints."""
    default, other = (compose_config(["ops=[matmul]", f"ops.matmul.dtypes=[{word}]"]) for word in ("f32", "f16_f32"))
    assert default.fingerprint == compose_config(["ops=[matmul]"]).fingerprint != other.fingerprint
    assert "dtypes" not in default.to_saved()["ops"]["matmul"]
    assert other.to_saved()["ops"]["matmul"]["dtypes"] == ["f16_f32"]
    unsigned = compose_config(["ops=[pooling_nwc_max_unsigned]"]).ops["pooling_nwc_max_unsigned"]
    assert {variant.dtype for variant in unsigned.variants} == {"i32"}
    assert "dtypes" not in unsigned.to_saved()
