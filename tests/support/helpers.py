"""What several test files use."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from torch_mlir import ir
from warm_scripts import without_report

from mlir_datagen.config import RunConfig, parse_config
from mlir_datagen.mlir.builder import FunctionBuilder, module_text
from mlir_datagen.mlir.decompose import decompose
from mlir_datagen.mlir.parse import Contexts, Verifier
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.ops.graph import Graph
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.sources.random_ops import RandomOps

SUPPORT = Path(__file__).resolve().parent
REPOSITORY = SUPPORT.parents[1]
SCRIPTS = REPOSITORY / "scripts"

CONTEXTS = Contexts()
"""For all tests of a process: making a context takes longer than most of what is done with one."""
VERIFIER = Verifier()

_GOLDEN_SIZES = {
    "batch": 3, "m": 16, "n": 8, "k": 32, "outer_m": 3, "outer_n": 2, "outer_k": 4, "tile_m": 4, "tile_n": 8,
    "tile_k": 2, "groups": 2, "rows": 12, "columns": 10, "tile_rows": 4, "tile_columns": 5,
    "outer_rows": 3, "outer_columns": 2,
    "channels": 3, "in_channels": 3, "out_channels": 4, "multiplier": 2,
    "depth": 8, "height": 9, "width": 11, "kernel_depth": 2, "kernel_height": 3, "kernel_width": 2,
    "stride_depth": 1, "stride_height": 2, "stride_width": 1,
    "dilation_depth": 2, "dilation_height": 1, "dilation_width": 3,
}  # fmt: skip


def _golden_fields(family: OpFamily, variant: Variant) -> dict[str, Any]:
    kind = {"kind": variant.kind} if variant.says_kind else {}
    if variant.rank is not None:
        return {**kind, "shape": ((7,), (7, 5), (7, 5, 3), (2, 7, 5, 3))[variant.rank - 1], "dtype": variant.dtype}
    return {**kind, **{axis: _GOLDEN_SIZES[axis] for axis in variant.axes}, "dtype": variant.dtype}


# One spec of every variant: (family, its fields). The golden programs are made from these.
GOLDEN_SPECS: dict[str, dict[str, Any]] = {
    **{
        f"{family.name}_{variant.name}": _golden_fields(family, variant)
        for family in FAMILIES.values()
        for variant in family.variants
    },
    "matmul_mk_kn": {"m": 64, "n": 32, "k": 128},
    "conv2d_nchw_fchw": {
        "batch": 2, "in_channels": 3, "height": 28, "width": 32, "out_channels": 16,
        "kernel_height": 3, "kernel_width": 5, "stride_height": 2, "stride_width": 1,
        "dilation_height": 1, "dilation_width": 2,
    },
    **{
        f"pooling_{kind}": {
            "kind": kind, "batch": 2, "channels": 3, "height": 28, "width": 32, "kernel_height": 3, "kernel_width": 5,
            "stride_height": 2, "stride_width": 1, "dilation_height": 1, "dilation_width": 2,
        }
        for kind in ("max", "avg")
    },
}  # fmt: skip


def golden_program(name: str) -> tuple[Any, Any, str]:
    """Return family, spec and text of a golden program."""
    family = next(
        family for family in FAMILIES.values() for variant in family.variants if f"{family.name}_{variant.name}" == name
    )
    spec = family.spec_from_json(GOLDEN_SPECS[name])
    return family, spec, family.program(spec)


def with_bodies(name: str) -> str:
    """Return the text of a golden program without operations that have no body.

    MLIR takes a softmax apart; a matrix and its tiles are copied by one `linalg.generic`.
    """
    family, spec, text = golden_program(name)
    if family.name in ("pack", "unpack"):
        return str(family.program(spec, GENERIC))
    if family.name != "softmax":
        return text
    module = ir.Module.parse(text, CONTEXTS.next())
    decompose(module, text)
    return str(module)


def emitted(graph: Graph, form: str) -> str:
    """Return the text of a graph, each of its nodes emitted one after the other."""
    arguments = [(one.name, tensor(one.shape, one.dtype)) for one in graph.arguments]
    builder = FunctionBuilder(graph.name, arguments, form)
    values = list(builder.arguments)
    for node in graph.nodes:
        inputs = [values[number] for number in node.inputs]
        values.append(node.operation.emit(builder, inputs, node.sizes, dtype=node.dtype))
    return module_text(graph.name, builder.arguments, builder.lines, [values[number] for number in graph.returned])


_WINDOW_GRID = {
    "batch": [1, 2],
    "height": [4, 6, 8],
    "width": [4, 6],
    "kernel_height": [1, 3, 5],
    "kernel_width": {"same_as": "kernel_height"},
    "stride_height": [1, 2],
    "stride_width": [1, 2],
    "dilation_height": [1],
    "dilation_width": [1],
}
_SHAPE_GRID = {
    "length": {"from": 3, "to": 90, "step": 3},
    **{key: [2, 3, 5] for key in ("rows", "columns")},
    **{key: [1, 2, 4] for key in ("batch", "channels", "height", "width")},
}


def _values(axes: int) -> list[int] | dict[str, int]:
    """Return the values of each of some axes, so that a grid has a hundred points or some more."""
    return {"from": 1, "to": 125, "step": 1} if axes == 1 else list(range(1, {2: 13, 3: 6, 4: 6}.get(axes, 3)))


def _small_op(family: OpFamily) -> dict[str, Any]:
    sizes: dict[str, Any] = _SHAPE_GRID if family.ranks else {}
    if "kernel_width" in family.axes:
        sizes = {**_WINDOW_GRID, "depth": [4, 5], "kernel_depth": [1, 2], "dilation_depth": [1]}
        if "kernel_height" not in family.axes:
            sizes |= {"kernel_width": [1, 3], "width": {"from": 4, "to": 40, "step": 1}}
        elif "batch" not in family.axes:
            sizes |= {"width": {"from": 4, "to": 40, "step": 1}}
    return {
        "weight": 1,
        **({"kinds": list(family.kinds)} if len(family.kinds) > 1 else {}),
        **({"ranks": list(family.ranks)} if family.ranks else {}),
        "grid": {axis: sizes.get(axis, _values(len(family.axes))) for axis in family.axes},
    }


_OPS = ("matmul", "conv2d", "pooling", "elementwise", "relu", "batch_matmul")
_RAW: dict[str, Any] = {
    "schema_version": 2,
    "name": "test",
    "seed": 0,
    "num_samples": 24,
    "splits": None,
    "split_ratios": None,
    "ops": {
        **{family.name: _small_op(family) for family in FAMILIES.values()},
        "conv2d": {"weight": 1, "grid": {**_WINDOW_GRID, "in_channels": [1, 3], "out_channels": [2, 4]}},
        "pooling": {"weight": 1, "kinds": ["max", "avg"], "grid": {**_WINDOW_GRID, "channels": [1, 3]}},
        "elementwise": {
            "weight": 1,
            "kinds": ["add", "mul", "max"],
            "ranks": [1, 2, 3, 4],
            "grid": _SHAPE_GRID,
        },
    },
    "limits": {"max_bytes": 8 << 30, "max_flops": None},
    "check": {"level": "parse", "fraction": 1.0},
    "measure": {"kind": "none", "runs": 5, "max_seconds": 1.0, "assumed_flops_per_second": 1e9},
    "sandbox": {"seconds": 20, "memory_bytes": 1 << 30},
    "converter": {"kind": "torch_mlir", "weights": "arguments", "seconds": 900, "memory_bytes": 1 << 34},
    "save_weights": False,
    "trust": [],
    "on_exhausted": "redistribute",
    "storage": "both",
    "output_dir": "outputs",
    "dry_run": False,
    "export": {"consumer": None},
    "extract": {"window": None, "stride": 1},
    "exclude": [],
}


def raw_config(ops: Iterable[str] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a config over small grids as plain values, with changes; dots in keys (as `__`) go down.

    Without ops it has six of them.
    """
    raw = deepcopy(_RAW)
    raw["ops"] = {name: raw["ops"][name] for name in (_OPS if ops is None else ops)}
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = raw
        for parent in parents:
            node = node[parent]
        node[last] = value
    return raw


def config(ops: Iterable[str] | None = None, **changes: Any) -> RunConfig:
    return parse_config(raw_config(ops, **changes))


def planned_specs(run: RunConfig) -> dict[str, list[tuple[str, Any]]]:
    """Return the (family, spec) of each program of each split, in order, without making the programs."""
    source = RandomOps(run.random_settings)
    planned: dict[str, list[tuple[str, Any]]] = {split: [] for split in run.splits}
    for task in source.plan(run.splits).tasks:
        planned[task.split] += [(family.name, spec) for family, spec in task.specs()]
    return planned


def run_script(
    name: str, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as a user does."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), *without_report(name, arguments)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=900,
    )


def interruptible() -> None:
    """Let a process that is about to start be interrupted, also where this one ignores it, as in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def made_dataset(done: subprocess.CompletedProcess[str], cwd: Path) -> Path:
    """Return the dataset that the last line of a run names."""
    assert done.returncode == 0, done.stderr
    label, path = done.stdout.splitlines()[-1].split(": ")
    assert label == "dataset"
    return cwd / path


def mlir_opt(version: int) -> str:
    """Return an installed mlir-opt; without it the test is skipped, but not in CI."""
    name = f"mlir-opt-{version}"
    if shutil.which(name) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed; .ci/run installs it")
        pytest.skip(f"{name} is not installed (apt install mlir-{version}-tools)")
    return name


def each_by_mlir_opt(version: int, texts: Iterable[str], *options: str) -> tuple[list[str], list[str]]:
    """Return what one call of an mlir-opt makes of each program, nothing of those that it refuses; and its errors."""
    texts = list(texts)
    done = run_mlir_opt(version, texts, *options)
    made = [each.strip() for each in done.stdout.split("// -----")]
    assert len(made) == len(texts), done.stderr
    return made, re.findall(r"error: (.*)", done.stderr)


def run_mlir_opt(version: int, texts: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Feed programs to an mlir-opt that we did not write, each parsed on its own."""
    return subprocess.run(
        [mlir_opt(version), "--split-input-file", *options],
        input="\n// -----\n".join(texts),
        capture_output=True,
        text=True,
    )
