"""The work of the process that one network gets: building, converting, checking it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.signature import Outline
from mlir_datagen.networks.converted import Converted, result_types
from mlir_datagen.networks.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.networks.oracle.verdict import Verdict, judge
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.sandbox import too_much_memory
from mlir_datagen.proving.settings import SandboxLimits

PRELOADED = ("torch", "torch._dynamo", __name__, "mlir_datagen.networks.through_torch_mlir")
"""What every network's process would take seconds to import, and is forked with instead."""

FIRST_STAGE = "emitted"
"""What a network fails whose process ended before it reached another."""


@dataclass(frozen=True)
class NetworkJob:
    """A network to convert: the task of their source.

    Attributes:
        spec: the network.
        seed: decides its weights, and the inputs that it is compared on.
        converter: how it is converted, and what it may use meanwhile.
        trust: packages whose classes may be imported.
        level: how far it is checked, one of `LEVELS`.
        weights_file: where its parameters and buffers are written, if anywhere.
        stage_file: where the stage that it reaches is noted, if anywhere; its process may write beside it.
    """

    spec: ModelSpec
    seed: int
    converter: ConverterSettings
    trust: tuple[str, ...]
    level: str
    weights_file: Path | None
    stage_file: Path | None = None


@dataclass(frozen=True)
class NetworkProof:
    """A converted and verified network.

    Attributes:
        converted: the network.
        outline: the graph of its operations.
        verdict: what was found of it, if it was run.
    """

    converted: Converted
    outline: Outline
    verdict: Verdict | None = None


def reached(job: NetworkJob) -> str:
    """Return the stage that a network had reached whose process ended."""
    return job.stage_file.read_text() if job.stage_file is not None and job.stage_file.exists() else FIRST_STAGE


class Refusal(Failure):
    """PyTorch or the network's own code refuses it, so that another converter would fail too."""


class _Stages:
    """The stage that a network has reached, in a file too, which outlives a process that crashes."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        # An earlier process may have reached another.
        self.enter(FIRST_STAGE)

    def enter(self, stage: str) -> None:
        self.reached = stage
        if self._file is not None:
            self._file.write_text(stage)


def convert_network(job: NetworkJob) -> NetworkProof | Failure:
    """Build, convert and check a network in this process, which serves this one alone."""
    limits = SandboxLimits(job.converter.seconds, job.converter.memory_bytes)
    # What transformers remarks on unusual sizes.
    logging.disable(logging.WARNING)
    stages = _Stages(job.stage_file)
    try:
        return _convert(job, stages)
    except Rejection as rejection:
        return Failure(rejection.stage, rejection.reason)
    except UserError as error:
        return Refusal(stages.reached, str(error))
    except BaseException as error:
        # The network's own code raises what it likes, SystemExit included, and the others have to go on.
        return _failure(error, stages.reached, limits)


def _failure(error: BaseException, stage: str, limits: SandboxLimits) -> Failure:
    from mlir_datagen.errors import first_line, is_about_memory

    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_about_memory(error)):
        return Failure(stage, too_much_memory("converter", limits))
    return Refusal(stage, f"{type(error).__name__}: {first_line(error)}")


def _convert(job: NetworkJob, stages: _Stages) -> NetworkProof:
    import torch

    from mlir_datagen.networks.building import build_model, example_inputs
    from mlir_datagen.networks.conversion import convert
    from mlir_datagen.networks.network_program import NetworkProgram
    from mlir_datagen.networks.oracle.reference import expected_results
    from mlir_datagen.networks.state import splat, stored_state

    # One thread, so that the processor time is that of the work, and sums have one order.
    torch.set_num_threads(1)
    module = build_model(job.spec, job.seed, job.trust)
    inputs = example_inputs(job.spec, job.seed)
    if job.converter.weights == "splat":
        splat(module)
    program = NetworkProgram()
    constant = job.converter.weights != "arguments"
    converted = convert(module, inputs, job.spec.name, job.converter.kind, constant, program.lower_torch)
    outline = program.verify(converted.text)
    if job.weights_file is not None:
        from mlir_datagen.dataset.weights import save_weights

        save_weights(job.weights_file, stored_state(module, converted.arguments))
    if job.level not in ("lower", "execute"):
        return NetworkProof(converted, outline)
    # First, since a program may crash on inputs that PyTorch refuses.
    expected = expected_results(module, inputs, job.spec.name, converted) if job.level == "execute" else None
    stages.enter("lowered")
    program.lower()
    if expected is None:
        return NetworkProof(converted, outline)
    stages.enter("executed")
    answers = [program.run(case.arguments, result_types(converted)) for case in expected.cases]
    return NetworkProof(converted, outline, judge(answers, converted.results, expected))
