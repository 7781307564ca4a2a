"""Running two programs side by side on MLIR 19, which we did not write, in double precision."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from labels import MLIR_19_PIPELINE, MLIR_LIBRARIES
from numpy.typing import NDArray

_RUNNER = "mlir-cpu-runner-19"
_BITS = re.compile(r"0x([0-9A-F]{8}) : f32")


class Pair(NamedTuple):
    """Two programs of one signature: shapes of their arguments and of their result, all of f32."""

    right: str
    wrong: str
    arguments: Sequence[tuple[int, ...]]
    result: tuple[int, ...]


def is_installed() -> bool:
    """Tell whether MLIR 19's tools and its runner's libraries are there."""
    return shutil.which(_RUNNER) is not None and (MLIR_LIBRARIES / "libmlir_c_runner_utils.so").exists()


def differences(pairs: Sequence[Pair], seed: int) -> list[dict[str, float]]:
    """Return how far two programs' results differ, relative to the largest of the right one's, by what they run on.

    Both are run in double precision, where a difference is no rounding of single precision. It is infinity where a
    result is not a number.
    """
    generator = np.random.default_rng(seed)
    functions, calls = [], []
    for number, pair in enumerate(pairs):
        functions += [_function(pair.right, f"right{number}"), _function(pair.wrong, f"wrong{number}")]
        functions.append(_comparison(number, pair))
        calls += [
            _call(number, pair, [draw(generator, shape) for shape in pair.arguments], place)
            for place, draw in enumerate(_DRAWS.values())
        ]
    lines = ["  func.func private @printF64(f64)", "  func.func private @printNewline()"]
    main = ["  func.func @main() {", *calls, "    return", "  }"]
    printed = _run("\n".join(["module {", *lines, *functions, *main, "}"]))
    numbers = np.array(printed.split(), np.float64).reshape(len(pairs), len(_DRAWS), 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = numbers[..., 0] / np.maximum(numbers[..., 1], np.finfo(np.float32).tiny)
    relative[~np.isfinite(relative)] = np.inf
    return [dict(zip(_DRAWS, row, strict=True)) for row in relative.tolist()]


_DRAWS: dict[str, Callable[[np.random.Generator, Sequence[int]], NDArray[np.float64]]] = {
    "numbers about 1": lambda generator, shape: generator.normal(0, 1, shape),
    "negative numbers": lambda generator, shape: -np.abs(generator.normal(0, 10, shape)),
    "small integers": lambda generator, shape: generator.integers(-2, 3, shape).astype(np.float64),
    "numbers of millions": lambda generator, shape: generator.normal(0, 1e6, shape),
}


def _function(text: str, name: str) -> str:
    """Return a program's function in double precision, under another name."""
    body = text.strip().removeprefix("module {").removesuffix("}")
    wide = _BITS.sub(lambda bits: f"0x{_widened(bits[1])} : f64", body).replace("f32", "f64")
    return re.sub(r"func\.func @\w+", f"func.func private @{name}", wide, count=1)


def _widened(bits: str) -> str:
    """Return a number's bits in double precision, from those in single precision."""
    number = np.frombuffer(bytes.fromhex(bits), ">f4").astype(">f8")
    return number.tobytes().hex().upper()


def _comparison(number: int, pair: Pair) -> str:
    """Return the function that prints the largest difference of two results, and the largest number of the first."""
    result = _type(pair.result)
    dims = ", ".join(f"d{axis}" for axis in range(len(pair.result)))
    iterators = ", ".join(['"reduction"'] * len(pair.result))
    names = [f"%argument{place}" for place in range(len(pair.arguments))]
    types = [_type(shape) for shape in pair.arguments]
    parameters = ", ".join(f"{name}: {type_}" for name, type_ in zip(names, types, strict=True))
    call = f"({', '.join(names)}) : ({', '.join(types)}) -> {result}"
    whole, scalar = f"affine_map<({dims}) -> ({dims})>", f"affine_map<({dims}) -> ()>"
    return f"""  func.func private @compare{number}({parameters}) {{
    %right = func.call @right{number}{call}
    %wrong = func.call @wrong{number}{call}
    %zero = arith.constant dense<0.0> : tensor<f64>
    %found:2 = linalg.generic {{indexing_maps = [{whole}, {whole}, {scalar}, {scalar}], iterator_types = [{iterators}]}}
        ins(%right, %wrong : {result}, {result}) outs(%zero, %zero : tensor<f64>, tensor<f64>) {{
    ^bb0(%r: f64, %w: f64, %most: f64, %largest: f64):
      %difference = arith.subf %r, %w : f64
      %distance = math.absf %difference : f64
      %size = math.absf %r : f64
      %more = arith.maximumf %most, %distance : f64
      %larger = arith.maximumf %largest, %size : f64
      linalg.yield %more, %larger : f64, f64
    }} -> (tensor<f64>, tensor<f64>)
    %first = tensor.extract %found#0[] : tensor<f64>
    %second = tensor.extract %found#1[] : tensor<f64>
    func.call @printF64(%first) : (f64) -> ()
    func.call @printNewline() : () -> ()
    func.call @printF64(%second) : (f64) -> ()
    func.call @printNewline() : () -> ()
    return
  }}"""


def _call(number: int, pair: Pair, arguments: Sequence[NDArray[np.float64]], draw: int) -> str:
    lines, names = [], []
    for place, argument in enumerate(arguments):
        names.append(f"%given_{number}_{draw}_{place}")
        bits = argument.astype("<f8").tobytes().hex().upper()
        elements = f'"0x{bits}"' if argument.size > 1 else repr(float(argument.flat[0]))
        lines.append(f"    {names[-1]} = arith.constant dense<{elements}> : {_type(argument.shape)}")
    types = ", ".join(_type(argument.shape) for argument in arguments)
    lines.append(f"    func.call @compare{number}({', '.join(names)}) : ({types}) -> ()")
    return "\n".join(lines)


def _type(shape: Sequence[int]) -> str:
    return f"tensor<{''.join(f'{extent}x' for extent in shape)}f64>"


def _run(text: str) -> str:
    """Lower and run a module's `main`; return what it prints."""
    lowered = subprocess.run(
        ["mlir-opt-19", f"--pass-pipeline=builtin.module({MLIR_19_PIPELINE})"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    libraries = ",".join(str(MLIR_LIBRARIES / f"libmlir_{name}.so") for name in ("runner_utils", "c_runner_utils"))
    run = subprocess.run(
        [_RUNNER, "-O0", "-e", "main", "-entry-point-result=void", f"-shared-libs={libraries}"],
        input=lowered.stdout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout
