"""What share of wrong programs `check=execute` catches, and how many right ones it rejects.

    MLIR_19_LIBRARIES=… python benchmarks/mutants.py              # all; .ci/run says where the libraries come from
    python benchmarks/mutants.py --families pooling relu --networks --count 100
    python benchmarks/mutants.py --families --networks bert vit --faults 20

Wrong programs are planted in the text of the op families' programs, and in the captured graphs of small networks, for
both converters; those that compute the same nevertheless do not count. What that means is decided without the check:
single operations run on MLIR 19 in double precision beside the right ones (`on_mlir_19.py`), graphs in PyTorch
(`wrong_networks.py`). Right programs are those of a run over `dims=small` and of one over odd sizes, and the networks.

Exits with 1 when less than 99 % are caught, or a right program is rejected. A network's program that the check keeps
without claiming that it matched is neither, and is counted apart.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from on_mlir_19 import Pair, differences, is_installed
from program_faults import WITH_FAULTS
from tabulate import tabulate
from tqdm import tqdm
from wrong_programs import Planted, plant

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import generate
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.prover import Prover

if TYPE_CHECKING:
    from wrong_networks import Job, Outcome

LEAST_CAUGHT = 0.99
ROUNDING = 1e-9
"""The largest difference of single operations in double precision, relative to the largest result, that is none."""

ODD = [
    "dims.matrix=[1,3,5,7,13,17,31]", "dims.vector=[1,3,7,63,65,127,513,999]", "dims.batch=[1,3]",
    "dims.channels=[1,3,5,7]", "dims.spatial=[5,7,9,13]", "dims.kernel=[1,2,3]", "dims.stride=[1,2,3]",
    "dims.dilation=[1,2,3]",
]  # fmt: skip
NETWORKS = [
    "resnet", "mobilenet", "squeezing", "shufflenet", "vgg", "convnext", "vit", "unet", "recurrent", "masked", "bert",
    "gpt2", "llama",
]  # fmt: skip
"""Those of `small_networks`, which takes seconds to import."""

CONVERTERS = ("torch_mlir", "manual")
_AT_A_TIME = 40


class Verdict(NamedTuple):
    """What became of a wrong program.

    Attributes:
        group: the family, or the converter.
        kind: of the fault.
        what: the program.
        shown_by: what shows that it is wrong; None when nothing that was tried does.
        verdict: `caught`, `missed`, `not claimed`, `not run`.
        reason: what the check said.
    """

    group: str
    kind: str
    what: str
    shown_by: str | None
    verdict: str
    reason: str


def single_operations(names: Sequence[str], count: int, seed: int) -> Iterator[Verdict]:
    """Plant faults in programs of families and have them checked as in a run."""
    planted = list(plant(names, count, seed))
    chunks = [planted[start : start + _AT_A_TIME] for start in range(0, len(planted), _AT_A_TIME)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        found = [one for chunk in threads.map(lambda chunk: _differences(chunk, seed), chunks) for one in chunk]
    config = compose_config(["check=execute"])
    jobs = [job_of(one.family, one.spec, one.wrong, config.check.level, measure=False) for one in planted]
    with Prover(config.check, config.measure, config.sandbox) as prover:
        outcomes = list(prover.prove(jobs))
    for one, outcome, by_draw in zip(planted, outcomes, found, strict=True):
        if isinstance(outcome, Failure):
            verdict, reason = "caught" if outcome.stage == "matched" else "not run", outcome.reason
        else:
            verdict, reason = "missed", f"error {outcome.error}"
        yield Verdict(one.family.name, one.kind, str(one.spec), _shown_by(by_draw, ROUNDING), verdict, reason)


def _differences(planted: Sequence[Planted], seed: int) -> list[dict[str, float]]:
    pairs = [
        Pair(
            one.right,
            one.wrong,
            [operand.shape for operand in one.family.graph(one.spec).arguments],
            one.family.graph(one.spec).results[0].shape,
        )
        for one in planted
    ]
    return differences(pairs, seed)


def _shown_by(found: dict[str, float], rounding: float) -> str | None:
    """Return what two programs differ on, and by how much; None where they do not."""
    return next((f"{what}: {by:.1e}" for what, by in found.items() if by > rounding), None)


def right_operations(names: Sequence[str], count: int, seed: int) -> tuple[int, list[str]]:
    """Make datasets of right programs; return how many were checked, and why some were rejected."""
    checked, reasons = 0, []
    for sizes in (["dims=small"], ODD):
        with tempfile.TemporaryDirectory() as folder:
            settings = [f"ops=[{','.join(names)}]", f"num_samples={count // 2}", f"seed={seed}", "check=execute"]
            made = generate(compose_config([*settings, *sizes, "storage=parquet", f"output_dir={folder}"]))
            checked += made.manifest["funnel"]["attempted"]
            rejected = made.path / "rejects.jsonl"
            reasons += rejected.read_text().splitlines() if rejected.exists() else []
    return checked, reasons


class _Worker:
    """A process that makes and checks networks' programs, and is replaced when one of them has ended it."""

    def __init__(self) -> None:
        # Not forked: this process has threads.
        self._context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, self._context)

    def perform(self, job: Job) -> Outcome | None:
        from wrong_networks import NOT_RUN, Outcome, perform

        try:
            return self._process.submit(perform, job).result()
        except BrokenProcessPool:
            self._process = ProcessPoolExecutor(1, self._context)
            return Outcome(job, "?", "", {}, NOT_RUN, "it ended its process")

    def end(self) -> None:
        self._process.shutdown()


def networks(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """Have networks' programs made and checked in processes of their own: some crash theirs."""
    workers = [_Worker() for _ in os.sched_getaffinity(0)]
    free = SimpleQueue[_Worker]()
    for worker in workers:
        free.put(worker)

    def perform(job: Job) -> Outcome | None:
        worker = free.get()
        try:
            return worker.perform(job)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as threads:
        yield from (outcome for outcome in threads.map(perform, jobs) if outcome is not None)
    for worker in workers:
        worker.end()


def network_verdicts(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Return what became of wrong networks."""
    from wrong_networks import ROUNDING as ROUNDING_OF_NETWORKS

    return [
        Verdict(
            one.job.converter,
            one.kind,
            f"{one.job.network}, {one.place}",
            _shown_by(one.differences, ROUNDING_OF_NETWORKS),
            one.verdict,
            one.reason,
        )
        for one in outcomes
    ]


def report(title: str, verdicts: Sequence[Verdict]) -> bool:
    """Print what became of wrong programs by kind, and all that were missed; return whether enough were caught."""
    differing = [one for one in verdicts if one.shown_by is not None]
    columns = ("caught", "missed", "not claimed", "not run")
    rows: list[list[Any]] = []
    for kind in dict.fromkeys([*sorted({one.kind for one in verdicts}), "all"]):
        own = [one for one in verdicts if kind in (one.kind, "all")]
        counts = Counter(one.verdict for one in own if one.shown_by is not None)
        rows.append([kind, len(own), counts.total(), *(counts[column] for column in columns)])
    print(tabulate(rows, headers=[title, "planted", "differ", *columns]), end="\n\n")
    missed = [one for one in differing if one.verdict == "missed"]
    for one in missed:
        print(f"missed: {one.group}, {one.kind}: {one.what}; shown by {one.shown_by}; {one.reason}")
    judged = sum(one.verdict == "caught" for one in differing) + len(missed)
    share = 1 - len(missed) / judged if judged else 0.0
    print(f"{title}: caught {share:.2%} of {judged}; at least {LEAST_CAUGHT:.0%}", end="\n\n", flush=True)
    return share >= LEAST_CAUGHT


def report_right(title: str, checked: int, rejected: Sequence[str]) -> bool:
    """Print how many right programs were rejected, and why; return whether none was."""
    print(f"{title}: {len(rejected)} of {checked} right programs rejected; none may be", flush=True)
    for reason in rejected:
        print(f"rejected: {reason}")
    print()
    return not rejected


def mutants(arguments: argparse.Namespace) -> bool:
    """Print all figures; return whether they reach the goals."""
    reached = []
    if arguments.families:
        verdicts = list(single_operations(arguments.families, arguments.count, arguments.seed))
        reached.append(report("single operations", verdicts))
        reached.append(
            report_right("single operations", *right_operations(arguments.families, arguments.right, arguments.seed))
        )
    if arguments.networks:
        from wrong_networks import MISSED, NOT_CLAIMED, Job

        drawn = arguments.weights == "drawn"
        jobs = [
            Job(network, converter, number, arguments.faults, drawn, arguments.seed)
            for network in arguments.networks
            for converter in CONVERTERS
            for number in (None, *range(arguments.faults))
        ]
        outcomes = list(tqdm(networks(jobs), "networks", len(jobs), disable=None))
        reached.append(report("networks", network_verdicts([one for one in outcomes if one.job.number is not None])))
        right = [one for one in outcomes if one.job.number is None]
        rejected = [
            f"{one.job.network}, {one.job.converter}: {one.reason}"
            for one in right
            if one.verdict not in (MISSED, NOT_CLAIMED)
        ]
        reached.append(report_right("networks", len(right), rejected))
    return all(reached)


def main() -> None:
    """Plant what the command line asks for."""
    parser = argparse.ArgumentParser(description="Plant wrong programs and see how many the check catches.")
    parser.add_argument(
        "--families",
        nargs="*",
        choices=WITH_FAULTS,
        default=list(WITH_FAULTS),
        help="op families; all that have faults here",
    )
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=NETWORKS, help="small networks; all")
    parser.add_argument("--count", type=int, default=1000, help="wrong programs of the families")
    parser.add_argument("--right", type=int, default=2000, help="right programs of the families")
    parser.add_argument("--faults", type=int, default=12, help="wrong programs of each network and converter")
    parser.add_argument(
        "--weights", choices=("own", "drawn"), default="own", help="networks' weights: those of their class, or drawn"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    arguments = parser.parse_args()
    if arguments.families and not is_installed():
        parser.error("single operations need mlir-19-tools, and MLIR_19_LIBRARIES: see .ci/run")
    sys.exit(0 if mutants(arguments) else 1)


if __name__ == "__main__":
    main()
