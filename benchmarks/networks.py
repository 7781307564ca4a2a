"""What converting networks costs, and what comes out of it, for both converters.

    python benchmarks/networks.py                                    # three networks, beside their targets
    python benchmarks/networks.py --all --gallery docs/gallery.md    # all 80 classification networks of torchvision
    python benchmarks/networks.py --execute resnet18 bert_base       # full size, run and compared with PyTorch

The first takes a minute. It compares conversion with a plain `torch_mlir.fx.export_and_import` in the same process,
which freezes the weights into the text. `--all` takes half an hour on two cores, and `--execute` minutes for each
network; `--converter` chooses one of the two. Operations are counted without those that fill a tensor with one scalar,
as those compute nothing; **named** ones are all but `linalg.generic`. Seconds are those of the conversion alone, not of
building the network.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from mlir_datagen.config.commands import network_settings
from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.cost import operation_names
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.networks.catalogue import TORCHVISION_CLASSIFIERS
from mlir_datagen.networks.model_spec import CONVERTERS
from mlir_datagen.networks.worker import PRELOADED
from mlir_datagen.programs.rejected import Rejected

KB = 1000
REPEATS = 3
MLIR_OPT = "mlir-opt-19"
SEED = 0
PROCESSES = 2
"""At a time: the largest networks take 5 GB each."""


@dataclass(frozen=True)
class Conversion:
    """What became of one network.

    Attributes:
        name: the network.
        seconds: of the conversion.
        size: bytes of the text.
        counts: linalg operations by name.
        parses: whether MLIR 19 parses and verifies it; None where that is not installed.
        failure: why there is no text, if there is none.
    """

    name: str
    seconds: float
    size: int
    counts: Counter[str]
    parses: bool | None
    failure: str | None = None

    @property
    def named(self) -> float:
        """The share of named operations."""
        return 1 - self.counts["linalg.generic"] / max(1, self.counts.total())


def convert_network(choice: str, converter: str) -> Conversion:
    """Build a network of the catalogue and convert it, in this process."""
    import torch

    from mlir_datagen.networks.building import build_model, example_inputs
    from mlir_datagen.networks.conversion import convert
    from mlir_datagen.networks.manual import UnknownOperatorError

    torch.set_num_threads(1)
    (spec,) = compose_config(["ops=[]", f"models=[{choice}]"]).models.values()
    model, inputs = build_model(spec, SEED, ()), example_inputs(spec, SEED)
    started = time.perf_counter()
    try:
        text = convert(model, inputs, spec.name, converter, constant=False).text
        seconds = time.perf_counter() - started
    except UnknownOperatorError as error:
        return Conversion(spec.name, 0, 0, Counter(), None, f"no handler for {error.operator}")
    except (UserError, Rejection) as error:
        return Conversion(spec.name, 0, 0, Counter(), None, str(error))
    counts = Counter(operation_names(text, Contexts().next()))
    del counts["linalg.fill"]
    return Conversion(spec.name, seconds, len(text.encode()), counts, parses_on_19(text))


def parses_on_19(text: str) -> bool | None:
    """Tell whether MLIR 19 parses and verifies a program."""
    if shutil.which(MLIR_OPT) is None:
        return None
    done = subprocess.run([MLIR_OPT, "-o", "/dev/null"], input=text, capture_output=True, text=True)
    return done.returncode == 0


def convert_all(choices: Sequence[str], converter: str) -> Iterator[Conversion]:
    """Convert networks, each in a process of its own, and yield them in order."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with ProcessPoolExecutor(PROCESSES, mp_context=context, max_tasks_per_child=1) as pool:
        yield from pool.map(convert_network, choices, [converter] * len(choices))


def compact(counts: Counter[str]) -> str:
    """Return operations by name as one line, the most frequent first and the generic ones last."""
    generic = "linalg.generic"
    names = sorted(set(counts) - {generic}, key=lambda name: (-counts[name], name))
    listed = [*names, *([generic] if counts[generic] else [])]
    return ", ".join(f"{name.removeprefix('linalg.')} {counts[name]}" for name in listed)


def report(what: str, figure: str, target: str = "") -> None:
    """Print a figure beside its target."""
    print(f"{what:58}{figure:>10}   {target}", flush=True)


def figures(converters: Sequence[str]) -> None:
    """Print sizes, times and shares of named operations of the three networks that have targets."""
    limits = {"resnet18": 150, "bert_base": 500, "gpt2": 500}
    shares: dict[tuple[str, str], float] = {}
    for converter in converters:
        for conversion in convert_all(list(limits), converter):
            if conversion.failure is not None:
                report(f"{conversion.name}, {converter}", "failed", conversion.failure)
                continue
            limit = limits[conversion.name]
            report(f"{conversion.name}, {converter}: text, KB", f"{conversion.size / KB:.0f}", f"below {limit}")
            report("  named operations", f"{conversion.named:.1%}", compact(conversion.counts))
            report("  parses on MLIR 19", str(conversion.parses), "True")
            shares[conversion.name, converter] = conversion.named
    if set(converters) == set(CONVERTERS):
        for name in ("resnet18", "bert_base"):
            manual, through = (shares.get((name, converter), 0) for converter in ("manual", "torch_mlir"))
            report(f"{name}: named operations, manual", f"{manual:.1%}", f"above torch_mlir's {through:.1%}")
    compare_with_plain(converters)


def compare_with_plain(converters: Sequence[str]) -> None:
    """Print the time of converting ResNet-18 beside that of torch-mlir's own call, which freezes the weights."""
    import torch

    from mlir_datagen.mlir.fx_import import plain_export
    from mlir_datagen.networks.building import build_model, example_inputs
    from mlir_datagen.networks.conversion import convert

    torch.set_num_threads(1)
    (spec,) = compose_config(["ops=[]", "models=[resnet18]"]).models.values()
    model, inputs = build_model(spec, SEED, ()), example_inputs(spec, SEED)

    def plain(module: Any, tensors: Any) -> str:
        with warnings.catch_warnings(action="ignore"):
            return plain_export(module, tuple(tensors.values()), "main")

    ways: dict[str, Callable[[Any, Any], Any]] = {"plain export_and_import": plain}
    for converter in converters:
        ways[converter] = partial(convert, name="main", converter=converter, constant=False)
    # Once on something small, since the first call imports and compiles much that the others then have.
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()).eval()
    for way in ways.values():
        way(small, {"input": torch.zeros(1, 3, 8, 8)})
    times: dict[str, list[float]] = {name: [] for name in ways}
    # In turns, so that what else the machine does meets all of them.
    for _ in range(REPEATS):
        for name, way in ways.items():
            started = time.perf_counter()
            way(model, inputs)
            times[name].append(time.perf_counter() - started)
    plain_seconds = statistics.median(times.pop("plain export_and_import"))
    report("resnet18: plain export_and_import, s", f"{plain_seconds:.1f}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        report(f"resnet18, {name}: conversion, s", f"{median:.1f}")
        report("  part of the plain time", f"{median / plain_seconds:.2f}", "at most 0.25")


def all_networks(converters: Sequence[str], gallery: Path | None) -> None:
    """Convert all classification networks of torchvision; print the tables, and save them."""
    choices = [f"torchvision/{name}" for name in TORCHVISION_CLASSIFIERS]
    sections = []
    for converter in converters:
        conversions = list(tqdm(convert_all(choices, converter), total=len(choices), disable=None))
        sections.append(section(converter, conversions))
        print(sections[-1], flush=True)
        if gallery is not None:
            # After each converter, since the next takes a quarter of an hour.
            gallery.parent.mkdir(parents=True, exist_ok=True)
            gallery.write_text("\n".join([_HEAD, *sections]))


_HEAD = """\
# Gallery: the classification networks of torchvision

Written by `python benchmarks/networks.py --all --gallery docs/gallery.md`. Each network has random weights and one
image of 224 x 224 (Inception 299 x 299), and its parameters and buffers are arguments of the function. Operations are
counted without those that fill a tensor with one scalar; **named** ones are all but `linalg.generic`. Seconds are those
of the conversion alone, on one core of the machine that wrote this, with another network beside it.
"""


def section(converter: str, conversions: Sequence[Conversion]) -> str:
    """Return one converter's part of the gallery, as Markdown."""
    done = [conversion for conversion in conversions if conversion.failure is None]
    counts = sum((conversion.counts for conversion in done), Counter[str]())
    rows = [_row(conversion) for conversion in conversions]
    headers = ["model", "seconds", "KB", "operations", "named", "MLIR 19", "by name"]
    unknown = Counter(conversion.failure for conversion in conversions if conversion.failure is not None)
    lines = [
        f"## Converter `{converter}`\n",
        f"{len(done)} of {len(conversions)} convert; {sum(conversion.parses is True for conversion in done)} parse on "
        f"MLIR 19. {sum(conversion.seconds for conversion in done):.0f} s of conversion, "
        f"{sum(conversion.size for conversion in done) / 1e6:.1f} MB of text, {counts.total()} operations, "
        f"{1 - counts['linalg.generic'] / max(1, counts.total()):.1%} of them named.\n",
        *(f"- {failure}: {number} networks" for failure, number in unknown.most_common()),
        *([""] if unknown else []),
        tabulate(rows, headers=headers, tablefmt="github"),
        "",
    ]
    return "\n".join(lines)


def _row(conversion: Conversion) -> list[str]:
    if conversion.failure is not None:
        return [conversion.name, "", "", "", "", "", conversion.failure]
    return [
        conversion.name,
        f"{conversion.seconds:.1f}",
        f"{conversion.size / KB:.0f}",
        str(conversion.counts.total()),
        f"{conversion.named:.1%}",
        {True: "yes", False: "no", None: "not tried"}[conversion.parses],
        compact(conversion.counts),
    ]


def execute(names: Sequence[str], converters: Sequence[str]) -> None:
    """Run networks of the catalogue at full size and print how far they are from PyTorch."""
    from mlir_datagen.sources.networks import Networks

    for converter in converters:
        settings = ["ops=[]", f"models=[{','.join(names)}]", f"converter={converter}", "check=execute"]
        config = compose_config([*settings, "converter.seconds=7200"])
        with tempfile.TemporaryDirectory(prefix="mlir_datagen_") as folder:
            with closing(Networks(network_settings(config), Path(folder))) as networks:
                outcomes = networks.converted(networks.plan({}).tasks)
            for outcome in outcomes:
                if isinstance(outcome, Rejected):
                    report(f"rejected, {converter}", outcome.stage, outcome.reason)
                    continue
                what = f"{outcome.name}, {converter}: largest relative error"
                report(what, f"{outcome.proof.error:.1e}", f"absolute {outcome.proof.absolute_error:.1e}")


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure converting networks, and show what comes out of it.")
    parser.add_argument("--converter", nargs="+", choices=CONVERTERS, default=list(CONVERTERS))
    parser.add_argument("--all", action="store_true", help="all classification networks of torchvision")
    parser.add_argument("--gallery", type=Path, help="where the tables of --all are saved, as Markdown")
    parser.add_argument("--execute", nargs="+", metavar="NAME", help="run these networks of conf/models/ at full size")
    arguments = parser.parse_args()
    if arguments.execute:
        execute(arguments.execute, arguments.converter)
    elif arguments.all:
        all_networks(arguments.converter, arguments.gallery)
    else:
        figures(arguments.converter)


if __name__ == "__main__":
    main()
