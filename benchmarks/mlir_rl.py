"""What a dataset for MLIR-RL costs, and whether MLIR 19, which MLIR-RL builds on, runs every program of it.

    python benchmarks/mlir_rl.py                                  # experiment=mlir_rl: 1000 programs, and extraction
    python benchmarks/mlir_rl.py num_samples=50 experiment=mlir_rl
    python benchmarks/mlir_rl.py --artifact <checkout of MLIR-RL-artifact> num_samples=60 experiment=mlir_rl
    python benchmarks/mlir_rl.py 'ops=[]' 'models=[resnet18]' extract=blocks export=mlir_rl measure.max_seconds=10

Settings are those of `scripts/generate.py`; what they describe is measured and exported. Four figures:

- the wall time until the export is there, beside the part of it in which workers compile or run a program;
- how many programs the checker passes, each bufferized and lowered by `mlir-opt-19`;
- how many run with `mlir-cpu-runner-19 -O3`, on arguments of zeros, and return a positive time. It needs MLIR 19's
  runner libraries where MLIR_19_LIBRARIES says: `.ci/run` unpacks them;
- with `--artifact`, which needs the same libraries, how far the times of some programs are from those of the executor
  of MLIR-RL's released artifact.
  `mlir-cpu-runner-19` is no measure of these: from the same file of the LLVM dialect it makes machine code that takes
  three times as long for a max pooling as what MLIR's bindings make, which MLIR-RL uses.

Without settings, also how long it takes to extract all operations of ResNet-50 and BERT base from their text.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
from busy import recorded_spans, union_ns
from tqdm import tqdm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset
from mlir_datagen.export.mlir_rl.checker import check_folder
from mlir_datagen.export.mlir_rl.training import CODE_FILES, LEFT_OUT
from mlir_datagen.mlir.element_types import literal
from mlir_datagen.mlir.mlir_rl_lowering import MLIR_RL_PASSES
from mlir_datagen.pipeline.run import Listener, generate

CONSUMER = "mlir_rl"
EXTRACTED = {"resnet50": 10, "bert_base": 15}
"""Networks, and how many seconds extracting their operations may take."""

LIBRARIES = Path(os.environ.get("MLIR_19_LIBRARIES", "/usr/lib/llvm-19/lib"))
RUNNER_LIBRARIES = ",".join(str(LIBRARIES / f"libmlir_{name}.so") for name in ("runner_utils", "c_runner_utils"))
EXECUTOR = Path(__file__).with_name("artifact_executor.py")
PARALLEL = 2
"""Programs that run at a time: their times are not kept."""
COMPARED, LEAST_NS, MOST_NS = 60, 1e4, 1e8
"""How many programs' times are compared with the artifact's, and from how long to how long they take."""
PROCESSES = 3
SECONDS = 120
"""How long a program may take there."""


def make(settings: list[str], output_dir: Path) -> Path:
    """Make, measure and export a dataset, print what that cost, and return the export."""
    config = compose_config([*settings, f"output_dir={output_dir}"])
    with recorded_spans() as spans:
        started = time.monotonic_ns()
        dataset = generate(config)
        export = export_dataset(EXPORTERS[CONSUMER], dataset.path, measure=True, listener=Listener()).folder
        wall = time.monotonic_ns() - started
    busy = union_ns(spans)
    report("programs made", str(dataset.manifest["funnel"]["kept"]))
    report("seconds until they are measured and exported", f"{wall / 1e9:.0f}")
    report("  of the time of compiling and running them", f"{wall / busy:.2f}", "at most 1.3")
    left_out = orjson.loads((export / LEFT_OUT).read_bytes())
    report("left out of the export", str(len(left_out)))
    for one in left_out:
        print(f"    {one['split']} {one['name']}: {'; '.join(one['reasons'])}")
    return export


def check(export: Path) -> None:
    """Print how many programs pass the checker with MLIR 19."""
    found = check_folder(export, "mlir-opt-19")
    report("files of programs checked, with mlir-opt-19", str(found.programs))
    report("  problems", str(len(found.problems)), "0")
    for finding in found.problems:
        print(f"    {finding.file}: {finding.text}")


def run_all(export: Path) -> None:
    """Print how many programs run on MLIR 19 and return a positive time."""
    paths = sorted((export / CODE_FILES).glob("*.mlir"))
    with ThreadPoolExecutor(PARALLEL) as threads:
        outcomes = list(tqdm(threads.map(elapsed_or_failure, paths), total=len(paths), disable=None))
    failures = {path.stem: outcome for path, outcome in zip(paths, outcomes, strict=True) if isinstance(outcome, str)}
    report("run with mlir-cpu-runner-19, with a positive time", f"{len(paths) - len(failures)}", f"{len(paths)}")
    for name, failure in failures.items():
        print(f"    {name}: {failure}")


def compare_times(export: Path, artifact: Path) -> None:
    """Print how far our times are from those of the artifact's executor, one program after the other.

    Each is run in three processes there, one after the other, and the median of these counts.
    """
    ours = {name: nanoseconds for split in ("train", "eval") for name, nanoseconds in times_of(export, split).items()}
    names = sorted(name for name, nanoseconds in ours.items() if LEAST_NS < nanoseconds < MOST_NS)
    names = names[:: max(1, len(names) // COMPARED)]
    ratios: dict[str, list[float]] = {}
    for name in tqdm(names, disable=None):
        theirs = statistics.median(executed(artifact, export / CODE_FILES / f"{name}.mlir") for _ in range(PROCESSES))
        ratios.setdefault(re.sub(r"(_\d+)+$", "", name), []).append(ours[name] / theirs)
        print(f"    {name}: {ours[name]} ns, there {theirs:.0f}")
    every = [ratio for each in ratios.values() for ratio in each]
    report(f"our times beside those of the artifact's executor: {len(every)} programs", "")
    difference = statistics.median(abs(ratio - 1) for ratio in every)
    report("  median relative difference", f"{difference:.1%}", "at most 10 %")
    report("  within 10 %", f"{sum(abs(ratio - 1) <= 0.1 for ratio in every) / len(every):.0%}")
    for operation, each in sorted(ratios.items()):
        report(f"  {operation}: ours by theirs, of {len(each)}", f"{statistics.median(each):.2f}")


def executed(artifact: Path, program: Path) -> int:
    """Return the nanoseconds that a program takes with the artifact's executor, in a process of its own."""
    environment = {**os.environ, "MLIR_SHARED_LIBS": RUNNER_LIBRARIES}
    core = max(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, *map(str, (EXECUTOR, artifact, program))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return int(float(done.stdout.split()[-1]))


def times_of(export: Path, split: str) -> dict[str, int]:
    """Return the times of a split as the consumer reads them, in nanoseconds."""
    times: dict[str, int] = orjson.loads((export / f"execution_times_{split}.json").read_bytes())
    return times


def elapsed_or_failure(path: Path) -> int | str:
    """Run a program on MLIR 19; return the nanoseconds that it takes, or what went wrong."""
    pipeline = f"--pass-pipeline=builtin.module({','.join(MLIR_RL_PASSES)})"
    program = with_entry(path.read_text())
    lowered = subprocess.run(["mlir-opt-19", pipeline], input=program, capture_output=True, text=True)
    if lowered.returncode != 0:
        return lowered.stderr.strip().partition("\n")[0]
    command = ["mlir-cpu-runner-19", "-O3", "-e", "entry", "-entry-point-result=i64"]
    command.append(f"-shared-libs={RUNNER_LIBRARIES}")
    try:
        run = subprocess.run(command, input=lowered.stdout, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"it does not end within {SECONDS} s; LLVM 19 optimises some loops for ever"
    if run.returncode != 0:
        return f"it ended with {run.returncode}: {run.stderr.strip().partition(chr(10))[0]}"
    return int(run.stdout) if int(run.stdout) > 0 else f"its time is {run.stdout.strip()}"


def with_entry(text: str) -> str:
    """Return a program with a function beside its `@main` that calls it on zeros and returns the elapsed time."""
    signature = re.search(r"func\.func @main\((.*?)\) -> \((.*), i64\) attributes", text)
    assert signature is not None
    types = re.findall(r"tensor<[^>]*>", signature[1])
    lines = []
    for place, type_ in enumerate(types):
        element = type_.removesuffix(">").rpartition("x")[2].removeprefix("tensor<")
        lines += [
            f"%zero{place} = arith.constant {literal(0, element)} : {element}",
            f"%empty{place} = tensor.empty() : {type_}",
            f"%argument{place} = linalg.fill ins(%zero{place} : {element}) outs(%empty{place} : {type_}) -> {type_}",
        ]
    arguments = ", ".join(f"%argument{place}" for place in range(len(types)))
    results = re.findall(r"tensor<[^>]*>", signature[2])
    call = f"func.call @main({arguments}) : ({', '.join(types)}) -> ({', '.join(results)}, i64)"
    lines.append(f"%r:{len(results) + 1} = {call}")
    entry = f"func.func @entry() -> i64 {{\n{chr(10).join(lines)}\n"
    entry += f"return %r#{len(results)} : i64\n}}\n"
    # Before the end of the module; constants kept apart from it may follow.
    end = text.partition("\n{-#")[0].rindex("}")
    return text[:end] + entry + text[end:]


def time_extraction() -> None:
    """Print how long it takes to extract every operation of networks, with torch-mlir's conversion done before."""
    from mlir_datagen.mlir.extraction import extract
    from mlir_datagen.mlir.parse import Contexts
    from mlir_datagen.networks.building import build_model, example_inputs
    from mlir_datagen.networks.conversion import convert

    for name, seconds in EXTRACTED.items():
        spec = compose_config([f"models=[{name}]", "ops=[]"]).models[name]
        text = convert(build_model(spec, 0, ()), example_inputs(spec, 0), name, "torch_mlir", constant=False).text
        started = time.perf_counter()
        programs = extract(text, Contexts().next(), window=1, stride=1)
        elapsed = time.perf_counter() - started
        report(f"{name}: {len(programs)} distinct operations extracted, s", f"{elapsed:.1f}", f"below {seconds}")


def report(what: str, figure: str, target: str = "") -> None:
    """Print a figure beside its target."""
    print(f"{what:62}{figure:>8}   {target}", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure what a dataset for MLIR-RL costs, and run it on MLIR 19.")
    parser.add_argument("settings", nargs="*", help="settings of scripts/generate.py; default experiment=mlir_rl")
    parser.add_argument("--artifact", type=Path, help="a checkout of MLIR-RL-artifact, to compare times with")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlir_datagen_") as folder:
        export = make(arguments.settings or ["experiment=mlir_rl"], Path(folder))
        check(export)
        run_all(export)
        if arguments.artifact is not None:
            compare_times(export, arguments.artifact)
    if not arguments.settings:
        time_extraction()


if __name__ == "__main__":
    main()
