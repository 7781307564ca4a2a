"""Networks: each converted in a process of its own, in the order of their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import orjson

from mlir_datagen.dataset.columns import program_of_row
from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.dataset.weights import remove_weights, weights_file
from mlir_datagen.networks import worker
from mlir_datagen.networks.fallback import FIRST, SECOND, both_failed, said_of_second, written
from mlir_datagen.networks.model_spec import AUTO, ConverterSettings, ModelSpec
from mlir_datagen.networks.worker import NetworkJob, NetworkProof, Refusal
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.content import stable_hash
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT, Program
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import Cores, SandboxLimits
from mlir_datagen.sources.settings import NetworkSettings, SuiteSpec
from mlir_datagen.sources.source import Listed, ListedSource, Plan, Taken

_IDLE_SECONDS = 300


class Networks(ListedSource):
    """The source of networks: a task is one, and is done once, however often it is asked for. Close it after use.

    Args:
        settings: which networks, and how.
        root: the dataset's folder, for the weights.

    Attributes:
        threads: do tasks of this source at once: each waits for a process of its own.
    """

    def __init__(self, settings: NetworkSettings, root: Path) -> None:
        self._settings = settings
        self._root = root
        limits = SandboxLimits(settings.converter.seconds, settings.converter.memory_bytes)
        cores = Cores.available()
        workers = len({cores.measuring, *cores.others})
        self._pool = Pool(workers, limits, "converter", _IDLE_SECONDS, reused=False)
        self.threads = ThreadPoolExecutor(workers, "network")
        # What is ended last comes first: threads wait for processes, which write into the folder.
        self._open = ExitStack()
        self._scratch = self._open.enter_context(scratch_folder())
        self._open.callback(self.threads.shutdown, cancel_futures=True)
        self._open.enter_context(self._pool)
        self._done: dict[str, Program | Rejected] = {}

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan[NetworkJob]:
        """Plan each network of the run, checked as far as the settings ask for."""
        own = self._settings
        files = [weights_file(self._root, spec.name) if own.save_weights else None for spec in own.models]
        pairs = zip(own.models, files, strict=True)
        return Plan([NetworkJob(spec, own.seed, own.converter, own.trust, own.level, file) for spec, file in pairs])

    def produce(self, task: NetworkJob) -> Batch:
        """Convert a network."""
        return Batch.listed(NETWORKS_SPLIT, self.converted([task]))

    def must_be(self, task: NetworkJob, result: TaskResult) -> Listed:
        """Return what is known of a network."""
        weights = [] if task.weights_file is None else result.strings("own_name")
        return Listed(NETWORKS_SPLIT, None, [task.spec.name], weights)

    def restore(self, task: NetworkJob, result: TaskResult) -> None:
        """Take in a network that an earlier run has converted, for what is taken out of it."""
        for row in result.table.to_pylist():
            self._done[_key(task)] = program_of_row(row)
        for rejected in result.rejected:
            # One that has no time was converted.
            if rejected.stage != "measured":
                self._done[_key(task)] = rejected

    def converted(self, tasks: Sequence[NetworkJob]) -> list[Program | Rejected]:
        """Return networks that are converted, parsed and checked, or why they are not, in order."""
        missing = [task for task in tasks if _key(task) not in self._done]
        if missing:
            SERVER.load(worker.PRELOADED)
            jobs = [self._job(task) for task in missing]
            for task, job, proof in zip(missing, jobs, self._proofs(jobs), strict=True):
                self._done[_key(task)] = self._outcome(job, proof, task.converter)
        return [self._done[_key(task)] for task in tasks]

    def of_suite(self, suite: SuiteSpec) -> list[Program | Rejected]:
        """Return a suite's networks: parsed alone, and converted in one way, whatever the run changes.

        Where the run has the same network, it is that one.
        """
        if suite.converter is None:
            return []
        seed, trust = self._settings.seed, self._settings.trust
        converter = dataclasses.replace(self._settings.converter, kind=suite.converter, weights="arguments")
        tasks = [NetworkJob(spec, seed, converter, trust, "parse", None) for spec in suite.models]
        own = {_key(task): task for task in self.plan({}).tasks}
        return self.converted([own.get(_key(task), task) for task in tasks])

    def close(self) -> None:
        """End all processes and threads."""
        self._open.close()

    def _job(self, task: NetworkJob) -> NetworkJob:
        """Return what is done first of a task, which notes how far it gets."""
        using = dataclasses.replace(task.converter, kind=FIRST if task.converter.kind == AUTO else task.converter.kind)
        return dataclasses.replace(
            task, converter=using, stage_file=self._scratch / f"{stable_hash(_key(task)):x}.stage"
        )

    def _proofs(self, jobs: Sequence[NetworkJob]) -> Iterator[NetworkProof | Failure]:
        return self._pool.run(worker.convert_network, jobs, lambda job, reason: Failure(_reached(job), reason))

    def _outcome(
        self, job: NetworkJob, proof: NetworkProof | Failure, converter: ConverterSettings
    ) -> Program | Rejected:
        """Return what became of a network; where it is to be tried again, after that.

        Args:
            job: what was done.
            proof: how it ended.
            converter: as the settings or the suite have it.
        """
        first: Failure | None = None
        if converter.kind == AUTO and isinstance(proof, Failure) and not isinstance(proof, Refusal):
            using = dataclasses.replace(converter, kind=SECOND)
            assert job.stage_file is not None
            job = dataclasses.replace(job, converter=using, stage_file=job.stage_file.with_suffix(".second"))
            first, proof = proof, next(self._proofs([job]))
            if isinstance(proof, Failure):
                proof = both_failed(first, proof)
        spec, command = job.spec, self._settings.command(job.spec, converter)
        if isinstance(proof, Failure):
            if job.weights_file is not None:
                # They were written before the check that failed.
                remove_weights(self._root, spec.name)
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
            seed=self._settings.seed,
            text=converted.text,
            arguments=converted.arguments,
            results=converted.results,
            outline=proof.outline,
            proof=Proof(job.level, None, None, ()) if proof.verdict is None else proof.verdict.proof(),
            command=command,
            provenance=orjson.dumps({"model": spec.name, "class": spec.class_path}).decode(),
            remark="\n".join(_remarks(spec.name, first, proof)),
        )


def _key(task: NetworkJob) -> str:
    """Return what a network's program follows from: the same for the run's network and a suite's."""
    return orjson.dumps([task.spec.name, task.spec.to_saved(), task.converter.kind, task.converter.weights]).decode()


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
