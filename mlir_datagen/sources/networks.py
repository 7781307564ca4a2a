"""Networks: each converted in a process of its own, in the order of their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.dataset.weights import remove_weights, weights_file
from mlir_datagen.networks import worker
from mlir_datagen.networks.fallback import FIRST, SECOND, both_failed, said_of_second, written
from mlir_datagen.networks.model_spec import AUTO, ConverterSettings, ModelSpec
from mlir_datagen.networks.worker import NetworkJob, NetworkProof, Refusal
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT, Program
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import Cores, SandboxLimits
from mlir_datagen.sources.settings import NetworkSettings

_IDLE_SECONDS = 300


class Networks:
    """Converts networks. Each is converted once, however often it is asked for.

    Args:
        settings: which networks, and how.
        root: the dataset's folder, for the weights.
    """

    def __init__(self, settings: NetworkSettings, root: Path) -> None:
        self.settings = settings
        self._root = root
        self._limits = SandboxLimits(settings.converter.seconds, settings.converter.memory_bytes)
        self._done: dict[tuple[str, str], Program | Rejected] = {}

    def produce(self) -> Iterator[Program | Rejected]:
        """Yield each network of the run, converted, parsed and checked as far as the settings ask for."""
        own = self.settings
        for spec, outcome in self._converted(own.models, own.converter, own.level, own.save_weights):
            self._done[self._key(spec, own.converter)] = outcome
            yield outcome

    def suite(self, models: Sequence[ModelSpec], kind: str) -> Iterator[Program | Rejected]:
        """Yield the networks of a suite, converted and parsed: always in one way, whatever the run changes.

        Args:
            models: the networks.
            kind: the converter.
        """
        converter = dataclasses.replace(self.settings.converter, kind=kind, weights="arguments")
        keys = [self._key(spec, converter) for spec in models]
        missing = [spec for spec, key in zip(models, keys, strict=True) if key not in self._done]
        for spec, outcome in self._converted(missing, converter, "parse", save_weights=False):
            self._done[self._key(spec, converter)] = outcome
        for key in keys:
            yield self._done[key]

    def _converted(
        self, models: Sequence[ModelSpec], converter: ConverterSettings, level: str, save_weights: bool
    ) -> Iterator[tuple[ModelSpec, Program | Rejected]]:
        if not models:
            return
        seed, trust = self.settings.seed, self.settings.trust
        kind = FIRST if converter.kind == AUTO else converter.kind
        using = dataclasses.replace(converter, kind=kind)
        with scratch_folder() as scratch, self._pool(len(models)) as pool:
            jobs = []
            for spec in models:
                file = weights_file(self._root, spec.name) if save_weights else None
                jobs.append(NetworkJob(spec, seed, using, trust, level, file, scratch / f"{spec.name}.stage"))
            for job, proof in zip(jobs, self._proofs(pool, jobs), strict=True):
                outcome = self._outcome(pool, job, proof, converter)
                if save_weights and isinstance(outcome, Rejected):
                    # They were written before the check that failed.
                    remove_weights(self._root, job.spec.name)
                yield job.spec, outcome

    def _pool(self, networks: int) -> Pool:
        """Return a pool in which each network has a process of its own."""
        SERVER.load(worker.PRELOADED)
        cores = Cores.available()
        workers = min(networks, len({cores.measuring, *cores.others}))
        return Pool(workers, self._limits, "converter", _IDLE_SECONDS, reused=False)

    @staticmethod
    def _proofs(pool: Pool, jobs: Sequence[NetworkJob]) -> Iterator[NetworkProof | Failure]:
        return pool.run(worker.convert_network, jobs, lambda job, reason: Failure(_reached(job), reason))

    @staticmethod
    def _key(spec: ModelSpec, converter: ConverterSettings) -> tuple[str, str]:
        return spec.name, orjson.dumps([spec.to_saved(), converter.kind, converter.weights]).decode()

    def _outcome(
        self, pool: Pool, job: NetworkJob, proof: NetworkProof | Failure, converter: ConverterSettings
    ) -> Program | Rejected:
        """Return what became of a network; where it is to be tried again, after that.

        Args:
            pool: for another process.
            job: what was done.
            proof: how it ended.
            converter: as the settings or the suite have it.
        """
        first: Failure | None = None
        if converter.kind == AUTO and isinstance(proof, Failure) and not isinstance(proof, Refusal):
            using = dataclasses.replace(converter, kind=SECOND)
            assert job.stage_file is not None
            job = dataclasses.replace(job, converter=using, stage_file=job.stage_file.with_suffix(".second"))
            first, proof = proof, next(self._proofs(pool, [job]))
            if isinstance(proof, Failure):
                proof = both_failed(first, proof)
        spec, command = job.spec, self.settings.command(job.spec, converter)
        if isinstance(proof, Failure):
            saved = network_spec(spec, converter)
            return Rejected(NETWORK, NETWORKS_SPLIT, saved, proof.stage, proof.reason, command, spec.name)
        return self._program(job, proof, command, first)

    def _program(self, job: NetworkJob, proof: NetworkProof, command: str, first: Failure | None) -> Program:
        spec, kind, converted = job.spec, job.converter.kind, proof.converted
        return Program(
            name=spec.name,
            source=NETWORK,
            family=NETWORK,
            kind=kind,
            spec=network_spec(spec, job.converter, None if first is None else FIRST),
            seed=self.settings.seed,
            text=converted.text,
            arguments=converted.arguments,
            results=converted.results,
            loops=(),
            flops=proof.flops,
            proof=Proof(job.level, None, None, ()) if proof.verdict is None else proof.verdict.proof(),
            command=command,
            provenance=orjson.dumps({"model": spec.name, "class": spec.class_path}).decode(),
            remark="\n".join(_remarks(spec.name, first, proof)),
        )


def _remarks(name: str, first: Failure | None, proof: NetworkProof) -> Iterator[str]:
    if first is not None:
        yield said_of_second(name, first)
    if proof.verdict is not None and proof.verdict.unshown:
        yield proof.verdict.warning(name)


def network_spec(spec: ModelSpec, converter: ConverterSettings, instead_of: str | None = None) -> str:
    """Return the JSON from which a network can be converted again: the column `spec`.

    Args:
        spec: the network.
        converter: the one that made it.
        instead_of: the converter that failed before, if one did.
    """
    how = written(converter.kind, converter.weights, instead_of)
    return orjson.dumps({"name": spec.name, "model": spec.to_saved(), "converter": how}).decode()


def _reached(job: NetworkJob) -> str:
    """Return the stage that a network had reached whose process ended."""
    assert job.stage_file is not None
    return job.stage_file.read_text() if job.stage_file.exists() else worker.FIRST_STAGE
