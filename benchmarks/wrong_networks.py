"""Wrong programs of networks: a fault in the captured graph, while the network that is the reference is right.

A program **differs** when the graph with the fault, run by PyTorch in double precision, gives results that are further
from those of the right graph than `ROUNDING` of the largest: on the network's own weights or on others, and on other
inputs than the check has.
"""

from __future__ import annotations

import copy
import math
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import small_networks
import torch
from network_faults import Fault, NotHere, faults_in, plant
from torch.fx.node import map_aggregate

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.errors import Rejection
from mlir_datagen.networks import conversion, given_network
from mlir_datagen.networks.capture import input_names
from mlir_datagen.networks.quiet import quiet

ROUNDING = 1e-5
"""The largest difference, relative to the largest value of a result, that is not held to be one.

Rounding takes single precision about 1e-6 away in these networks. A fault below that cannot be told from it, such as an
epsilon of 1.1e-5 in the place of 1e-5.
"""

OTHER_INPUTS, OTHER_WEIGHTS = "other inputs", "other weights"
_RUN_ON = ("the weights of its class", OTHER_INPUTS, OTHER_WEIGHTS)

_SECONDS = 300

CAUGHT, MISSED, NOT_CLAIMED, NOT_RUN = "caught", "missed", "not claimed", "not run"


class Job(NamedTuple):
    """One program to make and check.

    Attributes:
        network: its name.
        converter: `torch_mlir` or `manual`.
        number: which of the network's faults is planted; None for a right program.
        jobs: how many faults are planted in the network: where one cannot be, the one so many further on is tried.
        drawn: whether the network's weights are drawn as training might leave them, and not those of its class.
        seed: of weights, inputs and the choice of faults.
    """

    network: str
    converter: str
    number: int | None
    jobs: int
    drawn: bool
    seed: int


class Outcome(NamedTuple):
    """What became of a program.

    Attributes:
        job: what was asked for.
        kind: of the fault.
        place: the operator, and which of its calls.
        differences: from the right results, relative to the largest, by what the network was run on.
        verdict: one of those above.
        reason: what the check said.
    """

    job: Job
    kind: str
    place: str
    differences: dict[str, float]
    verdict: str
    reason: str


def perform(job: Job) -> Outcome | None:
    """Plant a fault, convert, and have the check of `convert_model` judge; None where there is no such fault."""
    torch.set_num_threads(1)
    # It ends this process, should a program never end.
    signal.alarm(_SECONDS)
    with quiet():
        module = _network(job.network, job.drawn, job.seed)
        if job.number is None:
            verdict, reason = _checked(job, module, None)
            return Outcome(job, "right", "", {}, verdict, reason)
        for fault in _candidates(job):
            try:
                differences = _differences(job, fault)
            except NotHere:
                continue
            verdict, reason = _checked(job, module, fault)
            return Outcome(job, fault.kind, f"{fault.operator} {fault.occurrence}", differences, verdict, reason)
    return None


@lru_cache(maxsize=2)
def _network(name: str, drawn: bool, seed: int) -> torch.nn.Module:
    module = small_networks.network(name, seed)
    if drawn:
        small_networks.redraw(module, seed + 1)
    return module


@lru_cache(maxsize=2)
def _exported(name: str, seed: int) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(small_networks.network(name, seed), small_networks.inputs(name, seed))


def _candidates(job: Job) -> list[Fault]:
    """Return the faults that a job tries: of those of all kinds in turn, in seeded order, every so many."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in faults_in(_exported(job.network, job.seed), job.seed):
        by_kind.setdefault(fault.kind, []).append(fault)
    generator = np.random.default_rng([job.seed, *job.network.encode(), *job.converter.encode()])
    # The first of each kind, then the second of each: kinds with many places are not more frequent.
    order = [
        (turn, generator.random(), faults[place])
        for faults in by_kind.values()
        for turn, place in enumerate(generator.permutation(len(faults)))
    ]
    return [fault for *_, fault in sorted(order, key=lambda one: one[:2])][job.number :: job.jobs]


def _checked(job: Job, module: torch.nn.Module, fault: Fault | None) -> tuple[str, str]:
    """Return the verdict of the check on a network's program, and what it said."""
    tensors = list(small_networks.inputs(job.network, job.seed))
    named = dict(zip(input_names(module, len(tensors)), tensors, strict=True))
    convert: Any = conversion.convert
    try:
        if fault is not None:
            with _planting(fault):
                wrong = conversion.convert(module, named, job.network, job.converter, constant=False)
            convert = lambda *_, **__: wrong  # noqa: E731
        with tempfile.TemporaryDirectory() as folder:
            # Only the emission is wrong: what the check itself captures is the network.
            with mock.patch.object(given_network, "convert", convert):
                NeuralNetworkToMLIR(folder).convert_model(
                    module, tensors, job.network, job.converter == "torch_mlir", check="execute"
                )
            (row,) = pq.read_table(f"{folder}/index.parquet").to_pylist()
    except (UserError, Rejection) as error:
        return (CAUGHT if "'matched'" in str(error) else NOT_RUN), str(error)
    proven = row.get("proven", "matched")
    return (MISSED if proven == "matched" else NOT_CLAIMED), f"error {row['error']}"


@contextmanager
def _planting(fault: Fault) -> Iterator[None]:
    """Let whatever is captured have the fault."""
    export: Callable[..., torch.export.ExportedProgram] = torch.export.export

    def planted(*arguments: Any, **settings: Any) -> torch.export.ExportedProgram:
        exported = export(*arguments, **settings)
        plant(exported, fault)
        return exported

    with mock.patch.object(torch.export, "export", planted):
        yield


def _differences(job: Job, fault: Fault) -> dict[str, float]:
    """Return how far the wrong results are from the right ones, by PyTorch alone.

    Raises:
        NotHere: when the fault cannot be planted, or has the network read outside of a tensor.
    """
    right = copy.deepcopy(_exported(job.network, job.seed))
    wrong = copy.deepcopy(right)
    plant(wrong, fault)
    modules = [_in_double(exported) for exported in (right, wrong)]
    found = {}
    for what in _RUN_ON:
        if what == OTHER_WEIGHTS:
            for module in modules:
                small_networks.redraw(module, job.seed + 200)
        given = [
            tensor.double() if tensor.is_floating_point() else tensor
            for tensor in small_networks.inputs(job.network, job.seed + 100 + len(what))
        ]
        try:
            with torch.no_grad():
                results = [torch.utils._pytree.tree_leaves(module(*given)) for module in modules]
        except IndexError as error:
            raise NotHere from error
        found[what] = max(_distance(one, other) for one, other in zip(*results, strict=True))
    return found


def _distance(right: torch.Tensor, wrong: torch.Tensor) -> float:
    """Return the largest difference relative to the largest value; infinity where it is not a number."""
    distance, size = (right - wrong).abs().max().item(), right.abs().max().item()
    return distance / max(size, float(np.finfo(np.float32).tiny)) if math.isfinite(distance) else math.inf


def _in_double(exported: torch.export.ExportedProgram) -> torch.nn.Module:
    """Return a captured graph as a network in double precision, where its code names single precision too."""
    module: torch.nn.Module = exported.module(check_guards=False).double()
    for node in module.graph.nodes:
        if str(node.target).startswith("aten._assert_tensor_metadata"):
            node.graph.erase_node(node)
            continue
        node.args, node.kwargs = (map_aggregate(given, _widened) for given in (node.args, node.kwargs))
    module.recompile()
    return module


def _widened(argument: Any) -> Any:
    return torch.float64 if argument is torch.float32 else argument
