"""Networks: each converted in a process of its own, in the order of their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
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
from mlir_datagen.networks.where_sent import can_be_sent, convert_where_sent, converting_pool, sent
from mlir_datagen.networks.worker import NetworkJob, NetworkProof, Refusal, reached
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.content import stable_hash
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT, Program
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import JobEnded
from mlir_datagen.proving.settings import available_cores
from mlir_datagen.sources.settings import NetworkSettings, SuiteSpec
from mlir_datagen.sources.source import Listed, ListedSource, Plan, Taken


class Networks(ListedSource):
    """The source of networks: a task is one, and is done once, however often it is asked for. Close it after use.

    Args:
        settings: which networks, and how.
        root: the dataset's folder, for the weights.
        elsewhere: has networks converted in processes that have cores of their own; left out, all are here.
    """

    def __init__(self, settings: NetworkSettings, root: Path, elsewhere: Executor | None = None) -> None:
        self._settings = settings
        self._root = root
        self._elsewhere = elsewhere
        self._sent: set[Future[NetworkProof | Failure]] = set()
        # What is ended last comes first: processes write into the folder.
        self._open = ExitStack()
        self._scratch = self._open.enter_context(scratch_folder())
        self._pool = self._open.enter_context(converting_pool(settings.converter, len(available_cores())))
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
            jobs = [self._job(task) for task in missing]
            for task, job, proof in zip(missing, jobs, self._proofs(jobs), strict=True):
                self._done[_key(task)] = self._outcome(job, proof, task.converter)
        return [self._done[_key(task)] for task in tasks]

    def of_suite(self, suite: SuiteSpec) -> list[Program | Rejected]:
        """Return a suite's networks: parsed alone, and converted in one way, whatever the run changes.

        Where the run has the same network, it is that one.
        """
        own = {_key(task): task for task in self.plan({}).tasks}
        return self.converted([own.get(_key(task), task) for task in self._of_suite(suite)])

    def plan_of_suites(self, suites: Iterable[SuiteSpec]) -> Plan[NetworkJob]:
        """Plan the networks of suites that are not the run's own: what is in no split, and suites are made of."""
        own = {_key(task) for task in self.plan({}).tasks}
        tasks = {_key(task): task for suite in suites for task in self._of_suite(suite)}
        return Plan([task for key, task in tasks.items() if key not in own])

    def _of_suite(self, suite: SuiteSpec) -> list[NetworkJob]:
        if suite.converter is None:
            return []
        seed, trust = self._settings.seed, self._settings.trust
        converter = dataclasses.replace(self._settings.converter, kind=suite.converter, weights="arguments")
        return [NetworkJob(spec, seed, converter, trust, "parse", None) for spec in suite.models]

    def close(self) -> None:
        """End all processes, and have nobody wait for what is converted elsewhere."""
        for given in list(self._sent):
            given.cancel()
        self._open.close()

    def _job(self, task: NetworkJob) -> NetworkJob:
        """Return what is done first of a task, which notes how far it gets."""
        using = dataclasses.replace(task.converter, kind=FIRST if task.converter.kind == AUTO else task.converter.kind)
        return dataclasses.replace(
            task, converter=using, stage_file=self._scratch / f"{stable_hash(_key(task)):x}.stage"
        )

    def _proofs(self, jobs: Sequence[NetworkJob]) -> Iterator[NetworkProof | Failure]:
        for job, given in [(job, self._given(job)) for job in jobs]:
            try:
                yield given.result()
            except JobEnded as reason:
                yield Failure(reached(job), str(reason))

    def _given(self, job: NetworkJob) -> Future[NetworkProof | Failure]:
        if self._elsewhere is not None and can_be_sent(job):
            given = self._elsewhere.submit(convert_where_sent, sent(job))
            self._sent.add(given)
            given.add_done_callback(self._sent.discard)
            return given
        return self._here(job)

    def _here(self, job: NetworkJob) -> Future[NetworkProof | Failure]:
        SERVER.load(worker.PRELOADED)
        return self._pool.submit(worker.convert_network, job)

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
