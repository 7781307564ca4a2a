"""The work of the process that one network gets: building, converting, checking it."""

from __future__ import annotations

import logging
import os
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.nn.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.nn.signature import Converted
from mlir_datagen.proving.job import LEVELS, Failure
from mlir_datagen.proving.sandbox import limit_memory, limit_processor_time, too_much_memory
from mlir_datagen.proving.settings import SandboxLimits

PRELOADED = ("torch", "torch._dynamo", __name__, "mlir_datagen.nn.through_torch_mlir")
"""What every network's process would take seconds to import, and is forked with instead."""


@dataclass(frozen=True)
class NetworkJob:
    """A network to convert.

    Attributes:
        spec: the network.
        seed: decides its weights, and the inputs that it is compared on.
        converter: how it is converted, and what it may use meanwhile.
        trust: packages whose classes may be imported.
        level: how far it is checked, one of `LEVELS`.
        weights_file: where its parameters and buffers are written, if anywhere.
    """

    spec: ModelSpec
    seed: int
    converter: ConverterSettings
    trust: tuple[str, ...]
    level: str
    weights_file: Path | None


@dataclass(frozen=True)
class NetworkProof:
    """A converted network, with the errors of its results if it was run."""

    converted: Converted
    absolute_error: float | None
    relative_error: float | None


def convert_network(job: NetworkJob) -> NetworkProof | Failure:
    """Build, convert and check a network in this process, which serves this one alone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits = SandboxLimits(job.converter.seconds, job.converter.memory_bytes)
    limit_processor_time(limits.seconds)
    limit_memory(limits.memory_bytes)
    # What transformers remarks on unusual sizes.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="mlir_datagen_") as scratch:
        # torch-mlir writes its reports under fixed names.
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        try:
            return _convert(job)
        except Rejection as rejection:
            return Failure(rejection.stage, rejection.reason)
        except UserError as error:
            return Failure("emitted", str(error))
        except (MemoryError, RuntimeError) as error:
            from mlir_datagen.nn.building import is_about_memory

            if not isinstance(error, MemoryError) and not is_about_memory(error):
                raise
            return Failure("emitted", too_much_memory("converter", limits))
        finally:
            tempfile.tempdir = None


def _convert(job: NetworkJob) -> NetworkProof:
    import torch

    from mlir_datagen.mlir.lower import lower
    from mlir_datagen.mlir.parse import Contexts
    from mlir_datagen.nn.building import build_model, example_inputs
    from mlir_datagen.nn.comparison import compare, run
    from mlir_datagen.nn.conversion import convert
    from mlir_datagen.nn.state import splat

    # One thread, so that the processor time is that of the work, and sums have one order.
    torch.set_num_threads(1)
    module = build_model(job.spec, job.seed, job.trust)
    inputs = example_inputs(job.spec, job.seed)
    if job.converter.weights == "splat":
        splat(module)
    constant = job.converter.weights != "arguments"
    converted = convert(module, inputs, job.spec.name, job.converter.kind, constant)
    if job.weights_file is not None:
        from mlir_datagen.dataset.weights import save_weights

        save_weights(job.weights_file, module, converted)
    if LEVELS.index(job.level) < LEVELS.index("lower"):
        return NetworkProof(converted, None, None)
    if job.level == "lower":
        lower(converted.text, Contexts().next())
        return NetworkProof(converted, None, None)
    errors = compare(run(converted, module, inputs), module, inputs)
    return NetworkProof(converted, errors.absolute, errors.relative)
