"""Programs by MLIR-RL's names, and running timed ones on MLIR 19, which we did not write and MLIR-RL builds on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import mlir_opt

from mlir_datagen.mlir.mlir_rl_lowering import MLIR_RL_PASSES

RUNNER = "mlir-cpu-runner-19"

EVALUATION_NAMES = [
    "add_256_14_14_88",
    "add_256_42_42_168",
    "add_256_7_7_2048",
    "conv_2d_nchw_fchw_256_128_28_28_512_1_1_28_28",
    "conv_2d_nchw_fchw_256_512_28_28_128_1_1_28_28",
    "conv_2d_nchw_fchw_256_64_56_56_256_1_1_56_56",
    "matmul_256_1536_1000",
    "matmul_256_256_128",
    "matmul_256_256_512",
    "matmul_256_512_1024",
    "pooling_nchw_max_256_336_43_43_3_21_21",
    "pooling_nchw_max_256_64_114_114_3_56_56",
    "pooling_nchw_max_256_64_147_147_3_73_73",
    "relu_256_100",
    "relu_256_512",
    "relu_256_57_57_64",
]
"""The single operations that MLIR-RL is evaluated on."""


def libraries() -> list[Path]:
    """Return MLIR 19's libraries for the runner; without them the test is skipped, but not in CI."""
    folder = Path(os.environ.get("MLIR_19_LIBRARIES", "/usr/lib/llvm-19/lib"))
    paths = [folder / f"lib{name}.so" for name in ("mlir_c_runner_utils", "mlir_runner_utils")]
    missing = [str(path) for path in paths if not path.exists()] + ([] if shutil.which(RUNNER) else [RUNNER])
    if missing:
        reason = f"{missing[0]} is missing; MLIR_19_LIBRARIES names the folder of MLIR 19's runner libraries"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return paths


def lowered(text: str) -> str:
    """Return a program lowered by MLIR 19 in the way of MLIR-RL."""
    pipeline = f"--pass-pipeline=builtin.module({','.join(MLIR_RL_PASSES)})"
    done = subprocess.run([mlir_opt(19), pipeline], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_main(text: str, values: dict[int, float] | None = None) -> tuple[int, list[list[float]]]:
    """Run a program's `@main` on MLIR 19, with constant arguments.

    Args:
        text: the program.
        values: what each element of an argument is; of the others, 1.

    Returns:
        The elapsed nanoseconds that it returns, and the elements of each f32 result.
    """
    shared = ",".join(map(str, libraries()))
    done = subprocess.run(
        [RUNNER, "-e", "entry", "-entry-point-result=i64", f"--shared-libs={shared}"],
        input=lowered(_with_entry(text, values or {})),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *printed, elapsed = done.stdout.splitlines()
    results = "\n".join(printed).split("Unranked Memref")[1:]
    numbers = [re.findall(r"-?inf|nan|-?\d[\d.e+-]*", result.partition("data =")[2]) for result in results]
    return int(elapsed), [[float(number) for number in of] for of in numbers]


def program_of(name):
    """Return the program that MLIR-RL means by a name of its evaluation set."""
    kind = re.match(r"[a-z_]+(2d_nchw_fchw)?", name)[0].strip("_")
    sizes = [int(number) for number in name.removeprefix(kind).split("_")[1:]]
    window = ""
    if kind == "matmul":
        m, k, n = sizes
        operands = [(m, k), (k, n), (m, n)]
    elif kind == "add":
        operands = [sizes] * 3
    elif kind == "relu":
        operands = [sizes] * 2
    elif kind == "pooling_nchw_max":
        batch, channels, height, width, kernel, *result = sizes
        operands = [(batch, channels, height, width), (kernel, kernel), (batch, channels, *result)]
        window = "{dilations = dense<1> : tensor<2xi64>, strides = dense<2> : tensor<2xi64>}"
    else:
        batch, channels, height, width, filters, kernel_height, kernel_width, *result = sizes
        operands = [(batch, channels, height, width), (filters, channels, kernel_height, kernel_width)]
        operands.append((batch, filters, *result))
        window = "{dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>}"
    types = [f"tensor<{'x'.join(map(str, shape))}xf32>" for shape in operands]
    arguments = ", ".join(f"%a{place}: {type_}" for place, type_ in enumerate(types))
    inputs = ", ".join(f"%a{place}" for place in range(len(types) - 1))
    ins_outs = f"ins({inputs} : {', '.join(types[:-1])}) outs(%a{len(types) - 1} : {types[-1]})"
    operation = f"linalg.{kind} {window} {ins_outs} -> {types[-1]}"
    if kind == "relu":
        dims = ", ".join(f"d{axis}" for axis in range(len(sizes)))
        map_ = f"affine_map<({dims}) -> ({dims})>"
        iterators = ", ".join(['"parallel"'] * len(sizes))
        operation = (
            f"linalg.generic {{indexing_maps = [{map_}, {map_}], iterator_types = [{iterators}]}} {ins_outs} {{\n"
            "^bb0(%in: f32, %out: f32):\n%m = arith.maximumf %in, %zero : f32\nlinalg.yield %m : f32\n}"
            f" -> {types[-1]}"
        )
    return (
        f"func.func @f({arguments}) -> {types[-1]} {{\n%zero = arith.constant 0.0 : f32\n%r = {operation}\n"
        f"return %r : {types[-1]}\n}}"
    )


def _with_entry(text: str, values: dict[int, float]) -> str:
    """Add a function that calls `@main` and prints its results."""
    signature = re.search(r"func\.func @main\((.*?)\) -> \((.*?)\) attributes", text)
    assert signature is not None
    arguments = re.findall(r"tensor<[^>]*>", signature[1])
    results = re.findall(r"tensor<[^>]*>", signature[2])
    lines = []
    for place, type_ in enumerate(arguments):
        value = values.get(place, 1.0)
        lines.append(f"%a{place} = arith.constant dense<{value if 'xf' in type_ else int(value)}> : {type_}")
    names = ", ".join(f"%a{place}" for place in range(len(arguments)))
    types = ", ".join(results)
    lines.append(f"%r:{len(results) + 1} = func.call @main({names}) : ({', '.join(arguments)}) -> ({types}, i64)")
    for place, type_ in enumerate(results):
        if type_.endswith("xf32>"):
            lines.append(f"%u{place} = tensor.cast %r#{place} : {type_} to tensor<*xf32>")
            lines.append(f"func.call @printMemrefF32(%u{place}) : (tensor<*xf32>) -> ()")
    lines.append(f"func.return %r#{len(results)} : i64")
    entry = (
        "func.func private @printMemrefF32(tensor<*xf32>) attributes {llvm.emit_c_interface}\n"
        "func.func @entry() -> i64 {\n" + "\n".join(lines) + "\n}\n"
    )
    # Before the end of the module; constants kept apart from it may follow.
    end = text.partition("\n{-#")[0].rindex("}")
    return text[:end] + entry + text[end:]
