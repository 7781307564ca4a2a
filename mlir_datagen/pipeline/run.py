"""The order of a run: compose, plan, produce, write, publish. The one place that knows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.config.commands import network_settings
from mlir_datagen.dataset.description import write_description
from mlir_datagen.dataset.disk_errors import writable
from mlir_datagen.dataset.disk_space import check_room, disk_bytes
from mlir_datagen.dataset.diversity import DiversityCount
from mlir_datagen.dataset.files_folder import FLAT_INDEX, check_replaceable, replace_folder, written_files
from mlir_datagen.dataset.finished import find_finished
from mlir_datagen.dataset.manifest import environment
from mlir_datagen.dataset.parts import Parts, part_bytes, remove_forgotten_parts, remove_parts
from mlir_datagen.dataset.paths import index_names, split_folder
from mlir_datagen.dataset.results import result_of
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.dataset.writer import Checksums, SplitWriter, Storage
from mlir_datagen.errors import Resumable, UserError
from mlir_datagen.executors.beginning import FEWEST_PROGRAMS
from mlir_datagen.executors.engine import Waiting, proves_where_made, tasks_ahead
from mlir_datagen.executors.opening import opened
from mlir_datagen.networks.model_spec import require_trusted
from mlir_datagen.networks.worker import PRELOADED
from mlir_datagen.pipeline.collecting import collecting_rarely
from mlir_datagen.pipeline.exclusions import excluded_suites, keep_out_datasets, with_found_exclusions
from mlir_datagen.pipeline.producing import Made, Producer, breaks_for_people
from mlir_datagen.programs.production import Production, Progress, last_rejected
from mlir_datagen.programs.program import EXTRACTED
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.proving.machine import session
from mlir_datagen.proving.settings import available_cores
from mlir_datagen.proving.where_made import ProverWhereMade
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.quotas import Quota, quotas_part
from mlir_datagen.sources.random_ops import RandomOps, RandomTask
from mlir_datagen.sources.sameness import sameness
from mlir_datagen.sources.source import Plan

_SAMPLE = 256


@dataclass(frozen=True)
class Preview:
    """What a run would do.

    Attributes:
        path: where the dataset would be, or is.
        quotas: what each family gives to each split.
        networks: the networks' names.
        listed: the other splits whose programs are not drawn; how many, or None where only making them tells.
        disk_bytes: the room needed by the random programs, scaled up from a sample.
        exists: whether the dataset is there already.
    """

    path: Path
    quotas: Sequence[Quota]
    networks: list[str]
    listed: dict[str, int | None]
    disk_bytes: int
    exists: bool


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes:
        path: the dataset's folder.
        manifest: its manifest.
        existed: whether it was finished before.
        rejected: what this run rejected.
        remarks: what the person is told of programs that were kept.
    """

    path: Path
    manifest: dict[str, Any]
    existed: bool
    rejected: Sequence[Rejected] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Listener:
    """What a run tells while it works.

    Attributes:
        on_start: called with the number of programs, when the plan stands.
        on_written: called with the number of programs that were just written.
        on_wait: called when another process is writing the same dataset.
        on_resume: called with the number of programs that an earlier run has made already.
        on_stage: called with the name of what is done now, beside making programs: `planning`.
    """

    on_start: Callable[[int], object] = lambda total: None
    on_written: Progress = lambda count: None
    on_wait: Callable[[], object] = lambda: None
    on_resume: Callable[[int], object] = lambda programs: None
    on_stage: Callable[[str], object] = lambda stage: None


def dataset_path(config: RunConfig) -> Path:
    """Return the folder of the dataset that a config describes, with its exclusions found."""
    return config.output_dir / config.dataset_name


def preview(config: RunConfig) -> Preview:
    """Plan a run without writing anything.

    Raises:
        UserError: when the config cannot be fulfilled.
    """
    if config.merge:
        # Only here, since it uses what is here.
        from mlir_datagen.pipeline.merging import preview_merge

        return preview_merge(config)
    config = with_found_exclusions(config)
    path = dataset_path(config)
    require_all_trusted(config)
    source, plan = planned(config)
    with writable(path):
        exists = find_finished(path, config.fingerprint) is not None
        estimate, _ = _estimate(config, source, plan)
        return Preview(path, plan.quotas, list(config.models), _listed_splits(config), estimate, exists)


@collecting_rarely()
def generate(
    config: RunConfig, listener: Listener | None = None, executor: Executor | None = None, made: Made | None = None
) -> Outcome:
    """Make the dataset that a config describes, or find it finished.

    Args:
        config: the config.
        listener: told of the progress.
        executor: does the sources' tasks, in any order, on threads or in processes, here or elsewhere: the dataset does
            not depend on it. Left out, it is the config's. Networks are converted in processes of their own anyway.
        made: what became of the planned random programs elsewhere; left out, they are made now.

    Raises:
        UserError: when the config cannot be fulfilled, its folder cannot be written, or the executor breaks.
    """
    listener = listener or Listener()
    if config.merge:
        from mlir_datagen.pipeline.merging import merge_datasets

        return merge_datasets(config, listener)
    config = with_found_exclusions(config)
    path = dataset_path(config)
    with writable(path):
        finished = find_finished(path, config.fingerprint)
    if finished is not None:
        remove_forgotten_parts(path)
        return Outcome(path, finished, existed=True)
    require_all_trusted(config)
    if config.needs_workers:
        from mlir_datagen.proving.prover import prepare

        prepare(config.check, PRELOADED if config.models else ())
    with opened(config.executor, is_short(config)) if executor is None else nullcontext(executor) as executor:
        listener.on_stage("planning")
        source, plan = planned(config, executor)
        needed, kept_bytes = _estimate(config, source, plan)
        with Staging(path, listener.on_wait) as staging, kept_parts(config, staging, listener) as parts:
            if (finished := find_finished(path, config.fingerprint)) is not None:
                return Outcome(path, finished, existed=True)
            check_room(staging.path, needed + plan.total * kept_bytes)
            listener.on_start(plan.total + len(config.models))
            with writable(path):
                manifest, production = _write_dataset(
                    staging.path, config, source, plan, listener, executor, parts, made
                )
            staging.publish()
    return Outcome(path, manifest, existed=False, rejected=production.rejected, remarks=production.remarks)


@collecting_rarely()
def generate_files(
    config: RunConfig, output_dir: Path, taken: Mapping[tuple[str, str], int]
) -> tuple[list[Path], Mapping[tuple[str, str], int]]:
    """Write the programs of a config with one split as `.mlir` files with an index beside them, and nothing else.

    Args:
        config: a config with one split.
        output_dir: the folder. It may be missing or empty; what an earlier call wrote there is replaced.
        taken: how many points of each (split, family) earlier calls have used.

    Returns:
        The paths of the files, and how many points have been used now.

    Raises:
        UserError: when the config cannot be fulfilled, or the folder holds other things or cannot be written.
    """
    output_dir = output_dir.resolve()
    with writable(output_dir):
        check_replaceable(output_dir)
    source = RandomOps(config.random_settings)
    plan = source.plan(config.splits, taken)
    ((split, size),) = config.splits.items()
    with Staging(output_dir) as staging:
        with writable(output_dir):
            # Again, now that nobody else can be writing it.
            check_replaceable(output_dir)
            writer = SplitWriter(staging.path, split, size, Storage("", [FLAT_INDEX], with_text=False))
            producer = Producer({split: writer}.__getitem__, production=Production(taken=Counter(taken)))
            with writer:
                producer.produce(source, plan)
        replace_folder(staging)
    return [output_dir / file for file in written_files(output_dir)], producer.production.taken


def _listed_splits(config: RunConfig) -> dict[str, int | None]:
    suites = {
        suite.split: len(suite.programs or suite.models) if suite.extract.window is None else None
        for suite in config.suites.values()
    }
    return {**({} if config.extract.window is None else {EXTRACTED: None}), **suites}


def require_all_trusted(config: RunConfig) -> None:
    """Refuse classes that the run does not trust.

    Before anything is made: a dataset without them would stand in the way of the run that trusts them, which is of the
    same name.
    """
    for spec in config.models.values():
        require_trusted(spec, config.trust)


def is_short(config: RunConfig) -> bool:
    """Tell whether programs are made before there is help: few are, and where they are proven, that takes longer."""
    return sum(config.splits.values()) < FEWEST_PROGRAMS or config.needs_workers


def planned(config: RunConfig, executor: Executor | None = None) -> tuple[RandomOps | None, Plan[RandomTask]]:
    """Return the source of random programs, if any are asked for, and its plan."""
    if not config.ops:
        return None, Plan([])
    source = RandomOps(config.random_settings, executor)
    # Graphs are drawn by the executor, too.
    with breaks_for_people():
        return source, source.plan(config.splits)


def _write_dataset(
    root: Path,
    config: RunConfig,
    source: RandomOps | None,
    plan: Plan[RandomTask],
    listener: Listener,
    executor: Executor | None,
    parts: Parts,
    made: Made | None,
) -> tuple[dict[str, Any], Production]:
    unseen = Decontamination()
    keep_out_datasets(config.exclude, unseen)
    writers: dict[str, SplitWriter] = {}
    diversity = DiversityCount()
    with ExitStack() as stack:
        checksums = stack.enter_context(Checksums(root))

        def writer_of(split: str) -> SplitWriter:
            if split not in writers:
                storage = storage_of(config, split)
                writer = SplitWriter(root, split, config.splits.get(split, 1), storage, checksums, diversity)
                writers[split] = stack.enter_context(writer)
            return writers[split]

        prover = stack.enter_context(batch_prover(config)) if config.needs_workers else None
        producer = Producer(
            writer_of,
            prover,
            listener.on_written,
            unseen,
            sameness=sameness(config.random_settings),
            parts=parts,
            remote=prover_where_made(config),
        )
        excluded = excluded_suites(config.exclude)
        if config.models or config.suites or excluded:
            # Only here, since it brings libraries that runs without networks and suites do not need.
            from mlir_datagen.sources.extraction import Extraction
            from mlir_datagen.sources.networks import Networks
            from mlir_datagen.sources.suites import Suites

            # Closed after the networks, which end what the threads wait for.
            waiting = stack.enter_context(Waiting(converted_at_once(executor)))
            elsewhere = executor if proves_where_made(executor) else None
            networks = stack.enter_context(closing(Networks(network_settings(config), root, elsewhere)))
            plan_of_networks = networks.plan({})
            producer.produce(networks, plan_of_networks, waiting)
            extraction = Extraction(networks.converted(plan_of_networks.tasks), config.extract)
            producer.produce(extraction, extraction.plan({}), executor)
            unlisted = [suite for suite in excluded if suite.name not in config.suites]
            producer.prepare(networks, networks.plan_of_suites([*config.suites.values(), *unlisted]), waiting)
            suites = Suites(config.suites.values(), networks)
            producer.produce(suites, suites.plan({}), executor)
            unwritten = Suites(unlisted, networks)
            for task in unwritten.plan({}).tasks:
                producer.keep_out(result_of(unwritten.produce(task)))
        if source is not None:
            producer.produce(source, plan, executor, made)
        listener.on_stage("describing")
    production = producer.production
    counts = {split: writer.counts for split, writer in writers.items()}
    if not any(counter.total() for counter in counts.values()):
        raise UserError(f"Not one program was kept, and nothing was left behind. {last_rejected(production)}")
    quotas = quotas_part(config.ops, plan.quotas, production.rejected)
    times = session(config.measure, production.machines.values()) if config.measure.enabled else None
    manifest = write_description(
        root, config.dataset_settings, counts, quotas, production, unseen.against, diversity.diversity(), times
    )
    return manifest, production


def made_with(config: RunConfig) -> dict[str, str | None]:
    """Return the versions of what makes a config's programs."""
    return environment(with_networks=bool(config.models or config.suites))


@contextmanager
def kept_parts(config: RunConfig, staging: Staging, listener: Listener) -> Iterator[Parts]:
    """Have what an earlier run of the config has made, and keep what this one makes until it is published.

    It is deleted, too, when the config cannot be fulfilled.
    """
    header = {"fingerprint": config.fingerprint, **made_with(config)}
    with writable(staging.final):
        parts = Parts(staging.final, staging.path, header)
    if parts.programs:
        listener.on_resume(parts.programs)
    try:
        yield parts
    except UserError as error:
        if not isinstance(error, Resumable):
            remove_parts(staging.final)
        raise
    except KeyboardInterrupt as interrupt:
        if parts.programs:
            interrupt.add_note(
                f"Stopped; {parts.programs} programs are made and kept in {parts.folder}. The same command goes on "
                "from there."
            )
        raise
    remove_parts(staging.final)


def prover_where_made(config: RunConfig) -> ProverWhereMade | None:
    """Return what proves programs in the processes that make them, if a config asks for that and they can."""
    if not config.needs_workers:
        return None
    return ProverWhereMade(config.check, config.measure, config.sandbox, config.seed)


def converted_at_once(executor: Executor | None) -> int:
    """Return how many networks are converted at once: one a core, here or where the executor's processes are."""
    cores = len(available_cores())
    return max(cores, tasks_ahead(executor)) if executor is not None and proves_where_made(executor) else cores


@contextmanager
def batch_prover(config: RunConfig) -> Iterator[BatchProver]:
    """Have the worker processes that a config needs."""
    # Only here, since the pool's library is not needed by runs that only parse.
    from mlir_datagen.proving.prover import Prover

    with Prover(config.check, config.measure, config.sandbox) as prover:
        yield BatchProver(prover, config.check, config.measure, config.seed)


def storage_of(config: RunConfig, split: str) -> Storage:
    """Return where the programs of a split go."""
    folder = None if config.storage == "parquet" else split_folder(split)
    names = index_names(split, config.splits.get(split, 1), config.programs_per_file)
    return Storage(folder, names, config.storage != "files", config.programs_per_file)


def _estimate(config: RunConfig, source: RandomOps | None, plan: Plan[RandomTask]) -> tuple[int, int]:
    """Return the bytes that the random programs need on disk, and one until all are written, from the first of them."""
    if source is None:
        return 0, 0
    result = result_of(source.produce(plan.tasks[0].first(_SAMPLE)))
    if not len(result):
        return 0, 0
    storage = storage_of(config, next(iter(config.splits)))
    needed = plan.total * disk_bytes(result.table, storage, config.output_dir) // len(result)
    return needed, part_bytes(result) // len(result)
