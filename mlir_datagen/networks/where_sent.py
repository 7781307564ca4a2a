"""Converting a network in whatever process it was sent to: that has a process of its own for it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.errors import UserError
from mlir_datagen.networks import worker
from mlir_datagen.networks.model_spec import TRUSTED, ConverterSettings
from mlir_datagen.networks.worker import NetworkJob, NetworkProof, reached
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import SandboxLimits
from mlir_datagen.version import Versions, installed, said_of_versions

_IDLE_SECONDS = 300
_LIBRARIES = ("torch", "torchvision", "transformers")


@dataclass(frozen=True)
class SentNetwork:
    """A network to convert elsewhere.

    Attributes:
        job: what is to be done, without files.
        versions: those of the libraries of networks, on which its text depends, where it was sent from.
    """

    job: NetworkJob
    versions: Versions


def sent(job: NetworkJob) -> SentNetwork:
    """Return a network as it is sent."""
    return SentNetwork(dataclasses.replace(job, stage_file=None), installed(_LIBRARIES))


def can_be_sent(job: NetworkJob) -> bool:
    """Tell whether another machine can convert a network: it has no package of the run's own, nor place for weights."""
    return job.weights_file is None and all(
        path.partition(".")[0] in TRUSTED for path in filter(None, (job.spec.class_path, job.spec.config_path))
    )


def convert_where_sent(network: SentNetwork) -> NetworkProof | Failure:
    """Convert a network; in a worker of an executor.

    Raises:
        UserError: when other versions are here, or processes with the network are killed again and again.
    """
    here = installed(_LIBRARIES)
    if here != network.versions:
        raise UserError(
            f"A worker has {said_of_versions(here, network.versions)}, so that it may convert networks to other text. "
            "Start the workers in an environment like this one, or make networks with executor=process."
        )
    SERVER.load(worker.PRELOADED)
    with scratch_folder() as scratch, converting_pool(network.job.converter, 1) as pool:
        job = dataclasses.replace(network.job, stage_file=scratch / "stage")
        return next(pool.run(worker.convert_network, [job], lambda job, reason: Failure(reached(job), reason)))


def converting_pool(converter: ConverterSettings, workers: int) -> Pool:
    """Return the processes that networks are converted in, one for each.

    Args:
        converter: what each may use.
        workers: how many there are at once.
    """
    limits = SandboxLimits(converter.seconds, converter.memory_bytes)
    return Pool(workers, limits, "converter", _IDLE_SECONDS, reused=False)
