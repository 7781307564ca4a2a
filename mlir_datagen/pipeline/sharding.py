"""Making a config's random programs in shards, on any machines, and one dataset of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlir_datagen.config import RunConfig
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.disk_errors import writable
from mlir_datagen.dataset.parts import Parts, remove_forgotten_parts
from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.dataset.shard import SHARD, Shard, check_complete, read_shard, results_of, stretch, write_shard
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.errors import UserError, shown
from mlir_datagen.executors.engine import proves_where_made
from mlir_datagen.executors.opening import opened
from mlir_datagen.pipeline.collecting import collecting_rarely
from mlir_datagen.pipeline.exclusions import with_found_exclusions
from mlir_datagen.pipeline.producing import made_by, proven_result
from mlir_datagen.pipeline.run import (
    Listener,
    Outcome,
    batch_prover,
    dataset_path,
    generate,
    is_short,
    kept_parts,
    made_with,
    planned,
    prover_where_made,
)
from mlir_datagen.sources.random_ops import RandomOps, RandomTask
from mlir_datagen.sources.sameness import sameness


@dataclass(frozen=True)
class ShardOutcome:
    """What making a shard came to.

    Attributes:
        path: its folder.
        shard: what it says of itself.
        existed: whether it was finished before.
    """

    path: Path
    shard: Shard
    existed: bool


@collecting_rarely()
def generate_shard(config: RunConfig, listener: Listener | None = None) -> ShardOutcome:
    """Make the shard of a config, or find it finished.

    It has the random programs alone, proven as far as the config asks for. What they may not be, and what is listed, is
    seen to when shards are merged. Stopped, it goes on where it was.

    Args:
        config: the config, with a shard.
        listener: told of the progress.

    Raises:
        UserError: when the config has no such shard, cannot be fulfilled, or its folder cannot be written.
    """
    listener = listener or Listener()
    config = with_found_exclusions(config)
    assert config.shard is not None
    number, of = config.shard
    if not config.ops:
        raise UserError("shard makes a part of the random programs, and no op is chosen. Leave it out.")
    whole = dataset_path(config)
    path = whole.with_name(f"{whole.name}.shard-{number}-of-{of}")
    if (found := _finished(path, config)) is not None:
        remove_forgotten_parts(path)
        return ShardOutcome(path, found, existed=True)
    with opened(config.executor, is_short(config)) as workers:
        source, plan = planned(config, workers)
        assert source is not None
        own = stretch(number, of, len(plan.tasks))
        tasks = plan.tasks[own.start : own.stop]
        if not tasks:
            raise UserError(
                f"shard is {number}/{of}, and the config has {len(plan.tasks)} tasks, of some thousand programs each. "
                f"Type shard=1/{len(plan.tasks)} or fewer shards."
            )
        with Staging(path, listener.on_wait) as staging, kept_parts(config, staging, listener) as parts:
            if (found := _finished(path, config)) is not None:
                return ShardOutcome(path, found, existed=True)
            listener.on_start(sum(len(task.points) for task in tasks))
            done = _made_before(source, tasks, parts)
            with writable(path):
                remote = prover_where_made(config) if proves_where_made(workers) else None
                new = made_by(source, tasks[done:], sameness(config.random_settings), workers, remote)
                with batch_prover(config) if config.needs_workers and not remote else nullcontext() as prover:
                    for result in new:
                        parts.add(proven_result(result, prover, listener.on_written))
                names = parts.names
                shard = Shard(
                    config.fingerprint, number, of, own.start, len(own), parts.programs, made_with(config), names
                )
                write_shard(staging.path, parts.folder, shard, config.dataset_settings)
            staging.publish()
    return ShardOutcome(path, shard, existed=False)


def _made_before(source: RandomOps, tasks: Sequence[RandomTask], parts: Parts) -> int:
    """Return how many of the tasks an earlier run has done."""
    for done, task in enumerate(tasks):
        if parts.next(partial(source.fits, task)) is None:
            return done
    return len(tasks)


def merge_shards(folders: Sequence[Path], output_dir: Path, listener: Listener | None = None) -> Outcome:
    """Make the dataset of a config from all of its shards: the same bytes as without shards.

    Args:
        folders: the shards, in any order.
        output_dir: where the dataset's folder goes.
        listener: told of the progress.

    Raises:
        UserError: when they are not all shards of one config, or one is damaged.
    """
    shards = {folder: read_shard(folder) for folder in folders}
    check_complete(shards)
    ordered = sorted(shards.items(), key=lambda item: item[1].number)
    config = dataclasses.replace(load_saved_config(ordered[0][0] / CONFIG), output_dir=output_dir, shard=None)
    first = ordered[0][1]
    if config.fingerprint != first.fingerprint:
        raise UserError(
            f"The config of {ordered[0][0]} has the fingerprint {config.fingerprint}, and its {SHARD} says "
            f"{first.fingerprint}: one of them was changed. Make the shard again."
        )
    total = 0
    for folder, shard in ordered:
        if shard.first_task != total:
            raise UserError(f"{folder} begins with task {shard.first_task}, and those before it end at {total}.")
        total += shard.tasks
    here = made_with(config)
    differing = [key for key in here if key != "git_commit" and here[key] != first.environment.get(key)]
    if differing:
        key = differing[0]
        raise UserError(
            f"The shards were made with {key} {shown(first.environment.get(key))}, and here is {shown(here[key])}, so "
            "that what is still to be made would not go with them. Merge them where they were made, or with the same "
            "versions."
        )

    def made(task: int) -> Iterator[TaskResult]:
        return itertools.chain.from_iterable(results_of(folder, shard, task) for folder, shard in ordered)

    return generate(config, listener, made=made)


def _finished(path: Path, config: RunConfig) -> Shard | None:
    """Return what a finished shard says of itself; None when there is none yet.

    Raises:
        UserError: when something else is in its place.
    """
    if not path.exists():
        return None
    shard = read_shard(path)
    if (shard.fingerprint, (shard.number, shard.of)) != (config.fingerprint, config.shard):
        raise UserError(f"{path} is in the way: it is another shard. Move it away, or choose another output_dir=….")
    return shard
