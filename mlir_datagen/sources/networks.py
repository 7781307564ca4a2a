"""Networks: each converted in a process of its own, in the order of their names."""

from __future__ import annotations

import dataclasses
import multiprocessing
import shlex
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from pebble import ProcessExpired, ProcessPool

from mlir_datagen.config import RunConfig
from mlir_datagen.config.compose import choosing
from mlir_datagen.dataset.weights import remove_weights, weights_file
from mlir_datagen.nn import worker
from mlir_datagen.nn.fallback import FIRST, SECOND, both_failed, said_of_second, written
from mlir_datagen.nn.model_spec import AUTO, ConverterSettings, ModelSpec
from mlir_datagen.nn.worker import NetworkJob, NetworkProof, Refusal
from mlir_datagen.program import NETWORK, NETWORKS_SPLIT, Program, Rejected
from mlir_datagen.proving.job import Failure, Proof
from mlir_datagen.proving.sandbox import HiddenMain, prepare_workers, why_ended, without_interrupts
from mlir_datagen.proving.settings import Cores, SandboxLimits

_GRACE_SECONDS = 300


class Networks:
    """Converts networks as a run's config says. Each is converted once, however often it is asked for.

    Args:
        config: the run's config.
        root: the dataset's folder, for the weights.
    """

    def __init__(self, config: RunConfig, root: Path) -> None:
        self._config = config
        self._root = root
        self._limits = SandboxLimits(config.converter.seconds, config.converter.memory_bytes)
        self._done: dict[tuple[str, str], Program | Rejected] = {}

    def produce(self) -> Iterator[Program | Rejected]:
        """Yield each network of the run, converted, parsed and checked as far as the config asks for."""
        config = self._config
        models = list(config.models.values())
        for spec, outcome in self._converted(models, config.converter, config.check.level, config.save_weights):
            self._done[self._key(spec, config.converter)] = outcome
            yield outcome

    def suite(self, models: Sequence[ModelSpec], kind: str) -> Iterator[Program | Rejected]:
        """Yield the networks of a suite, converted and parsed: always in one way, whatever the run changes.

        Args:
            models: the networks.
            kind: the converter.
        """
        converter = dataclasses.replace(self._config.converter, kind=kind, weights="arguments")
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
        config = self._config
        with TemporaryDirectory(prefix="mlir_datagen_") as scratch, _NetworkPool(len(models)) as pool:
            kind = FIRST if converter.kind == AUTO else converter.kind
            scheduled = []
            for spec in models:
                file = weights_file(self._root, spec.name) if save_weights else None
                using = dataclasses.replace(converter, kind=kind)
                note = Path(scratch) / f"{spec.name}.stage"
                job = NetworkJob(spec, config.seed, using, config.trust, level, file, note)
                scheduled.append((job, self._schedule(pool, job)))
            for job, future in scheduled:
                outcome = self._outcome(pool, job, self._proof(job, future), converter)
                if save_weights and isinstance(outcome, Rejected):
                    # They were written before the check that failed.
                    remove_weights(self._root, job.spec.name)
                yield job.spec, outcome

    def _schedule(self, pool: Any, job: NetworkJob) -> Any:
        # Only a network that uses no processor time, and so escapes the limit on it, can take so long.
        return pool.schedule(worker.convert_network, args=(job,), timeout=self._limits.seconds + _GRACE_SECONDS)

    @staticmethod
    def _key(spec: ModelSpec, converter: ConverterSettings) -> tuple[str, str]:
        return spec.name, orjson.dumps([spec.to_saved(), converter.kind, converter.weights]).decode()

    def _outcome(
        self, pool: Any, job: NetworkJob, proof: NetworkProof | Failure, converter: ConverterSettings
    ) -> Program | Rejected:
        """Return what became of a network; where it is to be tried again, after that.

        Args:
            pool: for another process.
            job: what was done.
            proof: how it ended.
            converter: as the config or the suite has it.
        """
        first: Failure | None = None
        if converter.kind == AUTO and isinstance(proof, Failure) and not isinstance(proof, Refusal):
            using = dataclasses.replace(converter, kind=SECOND)
            assert job.stage_file is not None
            job = dataclasses.replace(job, converter=using, stage_file=job.stage_file.with_suffix(".second"))
            first, proof = proof, self._proof(job, self._schedule(pool, job))
            if isinstance(proof, Failure):
                proof = both_failed(first, proof)
        spec, command = job.spec, self._command(job.spec, converter)
        if isinstance(proof, Failure):
            saved = _spec_json(spec, converter.kind, converter.weights)
            return Rejected(NETWORK, NETWORKS_SPLIT, saved, proof.stage, proof.reason, command, spec.name)
        return self._program(job, proof, command, first)

    def _proof(self, job: NetworkJob, future: Any) -> NetworkProof | Failure:
        """Wait for a network's process, and return how it ended."""
        try:
            proof: NetworkProof | Failure = future.result()
            return proof
        except ProcessExpired as expired:
            reason = why_ended(expired.exitcode, "converter", self._limits)
            # Who killed it did not have this network in mind: with another converter it would be another program.
            kind = Refusal if expired.exitcode == -signal.SIGKILL else Failure
            return kind(_reached(job), reason)
        except FutureTimeoutError:
            return Failure(_reached(job), f"it did not end within {self._limits.seconds + _GRACE_SECONDS} s")

    def _program(self, job: NetworkJob, proof: NetworkProof, command: str, first: Failure | None) -> Program:
        spec, kind, converted = job.spec, job.converter.kind, proof.converted
        return Program(
            name=spec.name,
            source=NETWORK,
            family=NETWORK,
            kind=kind,
            spec=_spec_json(spec, kind, job.converter.weights, None if first is None else FIRST),
            seed=self._config.seed,
            text=converted.text,
            arguments=converted.arguments,
            results=converted.results,
            loops=(),
            flops=proof.flops,
            proof=Proof(job.level, proof.relative_error, None, (), proof.absolute_error),
            command=command,
            provenance=orjson.dumps({"model": spec.name, "class": spec.class_path}).decode(),
            remark="" if first is None else said_of_second(spec.name, first),
        )

    def _command(self, spec: ModelSpec, converter: ConverterSettings) -> str:
        config = self._config
        settings = {
            **choosing(spec),
            "ops": "[]",
            "converter": converter.kind,
            "converter.weights": converter.weights,
            "check": config.check.level,
            "measure": config.measure.kind,
            "converter.seconds": converter.seconds,
            "converter.memory_bytes": converter.memory_bytes,
            "seed": config.seed,
        }
        if config.trust:
            settings["trust"] = f"[{','.join(config.trust)}]"
        return f"python scripts/generate.py {shlex.join(f'{key}={value}' for key, value in settings.items())}"


def _spec_json(spec: ModelSpec, kind: str, weights: str, instead_of: str | None = None) -> str:
    how = written(kind, weights, instead_of)
    return orjson.dumps({"name": spec.name, "model": spec.to_saved(), "converter": how}).decode()


def _reached(job: NetworkJob) -> str:
    """Return the stage that a network had reached whose process ended."""
    assert job.stage_file is not None
    return job.stage_file.read_text() if job.stage_file.exists() else worker.FIRST_STAGE


class _NetworkPool:
    """A pool whose processes end with the network that they served; stopped at once when something is raised."""

    def __init__(self, networks: int) -> None:
        prepare_workers(worker.PRELOADED)
        self._main = HiddenMain()
        cores = Cores.available()
        workers = min(networks, len({cores.measuring, *cores.others}))
        self._pool = ProcessPool(max_workers=workers, max_tasks=1, context=multiprocessing.get_context("forkserver"))

    def __enter__(self) -> Any:
        self._main.__enter__()
        with without_interrupts():
            assert self._pool.active  # asking starts it
        return self._pool

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()
        self._main.__exit__()
