"""What checking and measuring cost, and how good the times are, side by side in one run.

    python benchmarks/labels.py                                          # 200 programs; 1000 for the reference
    python benchmarks/labels.py --programs 24 --usual 8 --small 40       # a short run
    python benchmarks/labels.py --disturbed                              # times beside two busy processes, and without

Four figures, each beside what it must reach:

- how much of the wall time of `check=execute measure=baseline` no worker compiles or runs a program;
- labelled programs per minute, beside the usual way, one `mlir-opt-19 | mlir-cpu-runner-19 -O3` per program and run
  (which needs `apt install mlir-19-tools`, and MLIR 19's runner libraries where MLIR_19_LIBRARIES says), and how far
  the medians differ;
- how far two measurements of the same programs agree;
- how many of all four families' programs over `dims=small` match the reference.

The usual way calls a program three times in each process, and counts the last: the calls before pay for fresh memory.
Of one file of the LLVM dialect, the runner makes machine code that takes up to three times as long for max pooling.

How far two sessions agree depends on the machine first. On a shared virtual machine the same compiled program on the
same arrays, with nothing else running, was seen to differ by up to 29 % (10th to 90th percentile) within seconds.

With `--disturbed` the same programs are measured three times: on the idle machine, beside two processes that compute
without a pause, and on the idle machine again.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from busy import recorded_spans, union_ns

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.journal import Place
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.pipeline.measuring import measure_dataset, repeat_measurements
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.programs.proof import Measurement

ALL_OPS = "ops=[matmul,conv2d,pooling,elementwise]"
RANGE_NS = (0.1e6, 50e6)
GRIDS = [
    "dims.matrix=[96,128,160,192,256]",
    "dims.batch=[4,8]",
    "dims.channels=[16,32,64]",
    "dims.spatial=[28,32,56,64]",
    "dims.kernel=[3,5]",
    "ops.elementwise.ranks=[1,2]",
    "ops.elementwise.grid.length={from: 300000, to: 2000000, step: 50000}",
    "ops.elementwise.grid.rows=[640,768,1024,1536]",
    "ops.elementwise.grid.columns=[640,768,1024,1536]",
    "limits.max_flops=40000000",
]
"""Grids whose programs take 0.1 to 50 ms as plain loops on a processor of 2.5 GHz."""

RUNS, SECONDS = 5, 30
MLIR_LIBRARIES = Path(os.environ.get("MLIR_19_LIBRARIES", "/usr/lib/llvm-19/lib"))
MLIR_19_PIPELINE = ",".join(
    [
        "one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map}",
        "buffer-deallocation-pipeline",
        "func.func(convert-linalg-to-loops)",
        "expand-strided-metadata",
        "lower-affine",
        "convert-scf-to-cf",
        "convert-math-to-llvm",
        "convert-math-to-libm",
        "convert-arith-to-llvm",
        "finalize-memref-to-llvm",
        "convert-func-to-llvm",
        "convert-cf-to-llvm",
        "reconcile-unrealized-casts",
    ]
)
"""Our own pipeline, but for making results arguments, which MLIR 19 does for private functions only."""


def label(programs: int, folder: Path) -> tuple[Path, float, float]:
    """Check and measure programs of 0.1 to 50 ms; return the dataset, the seconds, and the share of other work."""
    config = compose_config(
        [ALL_OPS, *GRIDS, f"num_samples={programs}", "check=execute", "measure=baseline", f"output_dir={folder}"]
    )
    with recorded_spans() as spans:
        started = time.monotonic_ns()
        dataset = generate(config).path
        wall = time.monotonic_ns() - started
    return dataset, wall / 1e9, 1 - union_ns(spans) / wall


def usual_program(text: str) -> str:
    """Return a program together with a main function that calls it thrice and prints the last call's nanoseconds."""
    signature = re.search(r"func\.func @(\w+)\((.*)\) -> (\S+) \{", text)
    assert signature is not None
    name, parameters, result = signature.groups()
    types = [parameter.split(": ")[1] for parameter in parameters.split(", ")]
    filled = "".join(
        f"    %empty{index} = tensor.empty() : {type_}\n"
        f"    %operand{index} = linalg.fill ins(%one : f32) outs(%empty{index} : {type_}) -> {type_}\n"
        for index, type_ in enumerate(types)
    )
    operands = ", ".join(f"%operand{index}" for index in range(len(types)))
    parameters = ", ".join(f"%argument{index}: {type_}" for index, type_ in enumerate(types))
    arguments = ", ".join(f"%argument{index}" for index in range(len(types)))
    timed = f"func.call @timed({operands}) : ({', '.join(types)}) -> i64"
    main = f"""
  func.func private @nanoTime() -> i64 attributes {{llvm.emit_c_interface}}
  func.func private @printI64(i64)
  func.func private @printNewline()
  func.func @timed({parameters}) -> i64 attributes {{passthrough = ["noinline"]}} {{
    %begin = func.call @nanoTime() : () -> i64
    %result = func.call @{name}({arguments}) : ({", ".join(types)}) -> {result}
    %end = func.call @nanoTime() : () -> i64
    %elapsed = arith.subi %end, %begin : i64
    return %elapsed : i64
  }}
  func.func @main() {{
    %one = arith.constant 1.0 : f32
{filled}    %first = {timed}
    %second = {timed}
    %third = {timed}
    func.call @printI64(%third) : (i64) -> ()
    func.call @printNewline() : () -> ()
    return
  }}
}}
"""
    # Inlined, LLVM would see that nobody reads the results.
    kept = re.sub(r"(func\.func @\w+\(.*\) -> \S+) \{", r'\1 attributes {passthrough = ["noinline"]} {', text, count=1)
    return kept.rstrip().removesuffix("}") + main


def usual_median_ns(text: str) -> float | None:
    """Return a program's median time as it is usually measured: in a pipeline of two processes for each run.

    None where it does not end.
    """
    program = usual_program(text)
    libraries = ",".join(str(MLIR_LIBRARIES / f"libmlir_{name}.so") for name in ("runner_utils", "c_runner_utils"))
    times = []
    for _ in range(RUNS):
        lowered = subprocess.run(
            ["mlir-opt-19", f"--pass-pipeline=builtin.module({MLIR_19_PIPELINE})"],
            input=program, capture_output=True, text=True, check=True,
        )  # fmt: skip
        try:
            run = subprocess.run(
                ["mlir-cpu-runner-19", "-O3", "-e", "main", "-entry-point-result=void", f"-shared-libs={libraries}"],
                input=lowered.stdout, capture_output=True, text=True, check=True, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            # LLVM 19 optimises some convolutions for ever.
            return None
        times.append(int(run.stdout))
    return statistics.median(times)


def compare_with_usual(dataset: Path, seconds: float, programs: int) -> None:
    """Print both ways' rates, and how far their medians differ, on some of the dataset's programs."""
    if shutil.which("mlir-cpu-runner-19") is None or not MLIR_LIBRARIES.is_dir():
        print("the usual way: not measured; it needs mlir-19-tools, and MLIR_19_LIBRARIES: see .ci/run")
        return
    stored = read_measurements(dataset)
    every = list(Dataset(dataset).programs())
    chosen = every[:: max(1, len(every) // programs)][:programs]
    started = time.monotonic()
    found = [(program, usual_median_ns(program.text)) for program in chosen]
    usual_rate = len(chosen) / (time.monotonic() - started) * 60
    ended = [(program, time_) for program, time_ in found if time_ is not None]
    usual = np.array([time_ for _, time_ in ended])
    ours = np.array([stored[program.split, program.name].median_ns for program, _ in ended])
    report("  that do not end the usual way", str(len(found) - len(ended)), "")
    rate = len(every) / seconds * 60
    report("labelled programs per minute", f"{rate:.0f}", f"the usual way {usual_rate:.0f}")
    report("  ratio", f"{rate / usual_rate:.1f}", "at least 3")
    long = ours > 1e4
    difference = np.abs(ours[long] - usual[long]) / usual[long]
    report(
        f"  median difference, {long.sum()} programs over 10 µs",
        f"{np.median(difference):.1%}" if long.any() else "none",
        "at most 10 %",
    )


def compare_sessions(dataset: Path) -> None:
    """Measure a dataset once more and print how far the times agree with the stored ones."""
    agreement = repeat_measurements(dataset, Listener())
    correlation = agreement.rank_correlation
    report("two sessions: rank correlation", f"{correlation:.4f}" if correlation else "none", "at least 0.99")
    report("  median relative difference", f"{agreement.relative_difference:.1%}", "at most 5 %")
    report("  disturbed in one of them", str(agreement.disturbed), "")


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Have processes beside this one that compute without a pause, free to run on every core."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def compare_disturbed(programs: int, root: Path) -> None:
    """Measure programs on the idle machine, beside two busy processes, and idle again; print how far they agree."""
    dataset, _, _ = label(programs, root)
    session(dataset, "warming up")
    idle = session(dataset, "idle")
    with busy_processes(2):
        compare_times(idle, session(dataset, "beside two busy processes"), "beside two busy processes", (0.1, 0.25))
    compare_times(idle, session(dataset, "idle again"), "idle again", (0.05, 0.25))


def session(dataset: Path, what: str) -> Mapping[Place, Measurement]:
    """Measure a dataset, print how long that takes, and return the times."""
    started = time.monotonic()
    measured = measure_dataset(dataset, Listener()).measured
    report(f"{what}: seconds to compile and measure", f"{time.monotonic() - started:.0f}", f"{len(measured)} programs")
    return {(split, name): measurement for split, name, measurement in measured}


def compare_times(
    first: Mapping[Place, Measurement], second: Mapping[Place, Measurement], what: str, targets: tuple[float, float]
) -> None:
    """Print how far the times of the same programs differ: of all of them, and of those that are not disturbed."""
    marked = {place for place in first if first[place].disturbed or second[place].disturbed}
    for whose, places in (("all", list(first)), ("undisturbed", [place for place in first if place not in marked])):
        if not places:
            continue
        times = np.array([(first[place].median_ns, second[place].median_ns) for place in places])
        difference = np.abs(times[:, 1] / times[:, 0] - 1)
        median, near = targets
        report(f"{what}, {whose}: programs", str(len(places)), "")
        report("  median relative difference", f"{np.median(difference):.1%}", f"at most {median:.0%}")
        report(f"  within {near:.0%}", f"{np.mean(difference <= near):.1%}", "at least 95 %")


def match_reference(programs: int, folder: Path) -> None:
    """Print how many programs of all families over small dimensions match the reference."""
    config = compose_config(
        [ALL_OPS, "dims=small", f"num_samples={programs}", "check=execute", f"output_dir={folder}", "name=small"]
    )
    started = time.monotonic()
    funnel = generate(config).manifest["funnel"]
    seconds = time.monotonic() - started
    share = funnel["matched"] / funnel["attempted"]
    report("dims=small: programs that match the reference", f"{share:.2%}", "100 %")
    report("  programs checked", str(funnel["attempted"]), f"{seconds:.0f} s")


def report(what: str, figure: str, target: str) -> None:
    """Print a figure beside its target."""
    print(f"{what:52}{figure:>12}   {target}", flush=True)


def labels(programs: int, usual: int, small: int, root: Path) -> None:
    """Print all figures."""
    dataset, seconds, other = label(programs, root)
    times = [measurement.median_ns for measurement in read_measurements(dataset).values()]
    report("programs checked and measured", str(len(times)), f"{seconds:.0f} s")
    report("  their times, in ms", f"{min(times) / 1e6:.2f}", f"to {max(times) / 1e6:.1f}; {spread(times)}")
    report("wall time outside compiling and running", f"{other:.1%}", "at most 15 %")
    compare_with_usual(dataset, seconds, usual)
    compare_sessions(dataset)
    match_reference(small, root)


def spread(times: Sequence[float]) -> str:
    """Say how many times are of the range that is asked for."""
    shortest, longest = RANGE_NS
    inside = sum(shortest <= time_ <= longest for time_ in times)
    return f"{inside} of {len(times)} within 0.1 to 50 ms"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure what checking and measuring programs costs.")
    parser.add_argument("--programs", type=int, default=200, help="how many are checked and measured")
    parser.add_argument("--usual", type=int, default=40, help="how many of them are measured the usual way too")
    parser.add_argument("--small", type=int, default=1000, help="how many of dims=small are checked")
    parser.add_argument("--disturbed", action="store_true", help="compare times beside busy processes instead")
    parser.add_argument("--folder", type=Path, help="where datasets are written for the time being")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="mlir_datagen_labels_", dir=arguments.folder))
    try:
        if arguments.disturbed:
            compare_disturbed(arguments.programs, root)
        else:
            labels(arguments.programs, arguments.usual, arguments.small, root)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
