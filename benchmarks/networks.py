"""What converting networks costs, and what the two converters give, side by side in one run.

    python benchmarks/networks.py                                 # sizes, time beside plain torch-mlir, named shares
    python benchmarks/networks.py --all --gallery docs/gallery.md # every classification network of torchvision, both
    ways python benchmarks/networks.py --execute resnet18 bert_base    # full size against PyTorch; minutes in plain
    loops

`--all` has each program parsed by `mlir-opt-19` as well.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tabulate import tabulate

from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.cost import operation_names
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.nn.catalogue import TORCHVISION_CLASSIFIERS
from mlir_datagen.nn.model_spec import CONVERTERS
from mlir_datagen.pipeline import generate

LARGEST_TEXT = {"resnet18": 150_000, "bert_base": 500_000, "gpt2": 500_000}
ROUNDS = 3


def convert_seconds(name: str, converter: str) -> tuple[float, str]:
    """Convert a network in this process, weights as arguments; return the seconds and the text."""
    from mlir_datagen.nn.building import build_model, example_inputs
    from mlir_datagen.nn.conversion import convert

    spec = compose_config([f"models=[{name}]", "ops=[]"]).models[name]
    model, inputs = build_model(spec, 0, ()), example_inputs(spec, 0)
    started = time.perf_counter()
    text = convert(model, inputs, name, converter, constant=False).text
    return time.perf_counter() - started, text


def plain_seconds(name: str) -> float:
    """Convert a network as torch-mlir's users do, weights frozen into the text; return the seconds."""
    from mlir_datagen.mlir.fx_import import plain_export
    from mlir_datagen.nn.building import build_model, example_inputs
    from mlir_datagen.nn.capture import quiet

    spec = compose_config([f"models=[{name}]", "ops=[]"]).models[name]
    model, inputs = build_model(spec, 0, ()), example_inputs(spec, 0)
    with quiet():
        started = time.perf_counter()
        plain_export(model, tuple(inputs.values()), name)
        return time.perf_counter() - started


def compare_with_plain() -> None:
    """Print how long ResNet-18 takes beside plain torch-mlir, each right after the other."""
    plain_seconds("simple_net")  # imports and first use
    ratios = []
    for _ in range(ROUNDS):
        ours, plain = convert_seconds("resnet18", "torch_mlir")[0], plain_seconds("resnet18")
        print(f"ResNet-18 at 224: {ours:.1f} s with weights as arguments, {plain:.1f} s with plain torch-mlir")
        ratios.append(ours / plain)
    print(f"  ratio, median of {ROUNDS}: {statistics.median(ratios):.2f} (at most 0.25)")


def print_sizes() -> None:
    """Print the sizes of the texts, and the share of named operations, of both converters."""
    rows = []
    for name, largest in LARGEST_TEXT.items():
        for converter in CONVERTERS:
            seconds, text = convert_seconds(name, converter)
            rows.append([name, converter, f"{seconds:.1f}", len(text), f"{largest} at most", *described(text)])
    print(tabulate(rows, headers=["network", "converter", "s", "bytes", "", "operations", "named"]))


def described(text: str) -> tuple[int, str]:
    """Return the number of linalg operations of a program, and the share of those with a name."""
    counts = Counter(operation_names(text, Contexts().next()))
    total = counts.total()
    return total, f"{1 - counts['linalg.generic'] / total:.1%}"


def by_name(text: str) -> str:
    """Return how many linalg operations a program has of each name."""
    counts = Counter(operation_names(text, Contexts().next()))
    return ", ".join(f"{name.removeprefix('linalg.')} {count}" for name, count in counts.most_common())


def convert_all(gallery: Path | None) -> None:
    """Convert all of torchvision's classification networks both ways; print the table, and save it."""
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for converter in CONVERTERS:
            for name in TORCHVISION_CLASSIFIERS:
                rows.append(convert_one(name, converter, folder))
                print(*rows[-1][:4], flush=True)
    headers = ["network", "converter", "seconds", "bytes", "MLIR 19", "operations", "named", "by name"]
    for converter in CONVERTERS:
        passed = sum(row[1] == converter and row[4] == "parses" for row in rows)
        print(f"{converter}: {passed} of {len(TORCHVISION_CLASSIFIERS)} convert, and parse on MLIR 19")
    if gallery is not None:
        gallery.parent.mkdir(exist_ok=True, parents=True)
        head = (
            "# torchvision's classification networks\n\nWritten by `python benchmarks/networks.py --all --gallery "
            "docs/gallery.md`: batch 1, 224 x 224 (`inception_v3` 299 x 299), weights as arguments; seconds from the "
            "start of a process of its own. Fills of initial values count as operations.\n\n"
        )
        gallery.write_text(head + tabulate(rows, headers=headers, tablefmt="github") + "\n")


def convert_one(name: str, converter: str, folder: str) -> list[Any]:
    """Convert one network as a dataset, in a process of its own; return its row of the table."""
    settings = [f"models=[torchvision/{name}]", "ops=[]", f"converter={converter}", f"output_dir={folder}"]
    started = time.perf_counter()
    try:
        outcome = generate(compose_config(settings))
    except ValueError as error:
        return [name, converter, "", "", str(error).partition("failed at the stage ")[2][:120], "", "", ""]
    seconds = time.perf_counter() - started
    (row,) = pq.ParquetFile(outcome.path / "neural_nets.parquet").read().to_pylist()
    text = row["mlir"]
    parsed = subprocess.run(["mlir-opt-19"], input=text, capture_output=True, text=True)
    verdict = "parses" if parsed.returncode == 0 else parsed.stderr.splitlines()[0]
    return [name, converter, f"{seconds:.1f}", len(text), verdict, *described(text), by_name(text)]


def execute(names: list[str]) -> None:
    """Run networks at full size and print how far they are from PyTorch."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for converter in CONVERTERS:
                settings = [f"models=[{name}]", "ops=[]", f"converter={converter}", "check=execute"]
                started = time.perf_counter()
                outcome = generate(compose_config([*settings, f"output_dir={folder}"]))
                (row,) = pq.ParquetFile(outcome.path / "neural_nets.parquet").read().to_pylist()
                seconds = time.perf_counter() - started
                print(f"{name} {converter}: relative error {row['error']}, {seconds:.0f} s", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure what converting networks costs, and what it gives.")
    parser.add_argument("--all", action="store_true", help="every classification network of torchvision")
    parser.add_argument("--gallery", type=Path, help="where that table is saved")
    parser.add_argument("--execute", nargs="+", metavar="NAME", help="networks to run at full size")
    arguments = parser.parse_args()
    if arguments.execute:
        execute(arguments.execute)
    elif arguments.all:
        convert_all(arguments.gallery)
    else:
        print_sizes()
        compare_with_plain()


if __name__ == "__main__":
    main()
