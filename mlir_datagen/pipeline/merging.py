"""One dataset of several finished ones: what is there twice is there once, and no split meets another.

Two passes read the parents, some rows at a time: the first chooses, the second writes, since names and files depend on
how many programs a split has.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlir_datagen.config import RunConfig
from mlir_datagen.config.commands import network_settings
from mlir_datagen.config.suites import defined_suite
from mlir_datagen.dataset.arrow import truth_array
from mlir_datagen.dataset.description import write_description
from mlir_datagen.dataset.disk_errors import writable
from mlir_datagen.dataset.diversity import DiversityCount
from mlir_datagen.dataset.finished import find_finished
from mlir_datagen.dataset.journal import Place
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, funnel_of
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.dataset.results import result_of
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.dataset.writer import Checksums, SplitWriter
from mlir_datagen.errors import listed
from mlir_datagen.pipeline.choosing import ROWS, STAGES, Choice, choose
from mlir_datagen.pipeline.collecting import collecting_rarely
from mlir_datagen.pipeline.exclusions import excluded_suites, keep_out_datasets
from mlir_datagen.pipeline.parents import ParentDataset, Parents, found_parents, merged_settings
from mlir_datagen.pipeline.run import Listener, Outcome, Preview, dataset_path, storage_of
from mlir_datagen.programs.production import Production, Progress
from mlir_datagen.programs.program import EXTRACTED, NETWORK
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.sources.decontamination import Decontamination

_SESSION = ("pipeline", "settings")
"""What must be the same in all sessions of measuring whose times are put together; each time says its machine."""


def preview_merge(config: RunConfig) -> Preview:
    """Find the datasets of a config without writing anything.

    Raises:
        UserError: when they cannot be merged.
    """
    parents = found_parents(config)
    path = dataset_path(parents.config)
    with writable(path):
        exists = find_finished(path, parents.config.fingerprint) is not None
    indexes = [
        parent.dataset.folder / file
        for parent in parents.datasets
        for files in parent.dataset.indexes.values()
        for file in files
    ]
    # How many are there twice is known when all are read.
    splits = dict.fromkeys(parents.sizes)
    return Preview(path, [], [], splits, sum(index.stat().st_size for index in indexes), exists)


@collecting_rarely()
def merge_datasets(config: RunConfig, listener: Listener) -> Outcome:
    """Make one dataset of those that a config names, or find it finished.

    Their indexes, and each text, are checked first; scripts/verify.py checks all of a dataset, before or after. What is
    stopped starts again.

    Raises:
        UserError: when they cannot be merged, or the folder cannot be written.
    """
    parents = found_parents(config)
    config = parents.config
    path = dataset_path(config)
    with writable(path):
        finished = find_finished(path, config.fingerprint)
    if finished is not None:
        return Outcome(path, finished, existed=True)
    with Staging(path, listener.on_wait) as staging:
        if (finished := find_finished(path, config.fingerprint)) is not None:
            return Outcome(path, finished, existed=True)
        # Each is read twice.
        listener.on_start(2 * parents.sizes.total())
        unseen = Decontamination()
        _keep_out(parents, unseen, staging.path)
        choice = choose(parents, unseen, listener.on_written)
        with writable(path):
            manifest, remarks = _write(staging.path, parents, choice, unseen, listener.on_written)
        staging.publish()
    if MEASUREMENTS_KEY not in manifest and any(MEASUREMENTS_KEY in one.manifest for one in parents.datasets):
        remarks.append(
            f"The measured times are left out: {_unlike(parents)}. python scripts/measure.py {path} measures it."
        )
    return Outcome(path, manifest, existed=False, remarks=remarks)


def _keep_out(parents: Parents, unseen: Decontamination, root: Path) -> None:
    """Take in what only some of the datasets keep out of their drawn splits."""
    keep_out_datasets(parents.fresh, unseen)
    suites = [suite for suite in excluded_suites(parents.fresh) if suite.split not in parents.sizes]
    if not suites:
        return
    # Only here, since it brings libraries that are seldom needed.
    from mlir_datagen.sources.networks import Networks
    from mlir_datagen.sources.suites import Suites

    with closing(Networks(network_settings(parents.config), root)) as networks:
        unwritten = Suites(suites, networks)
        for task in unwritten.plan({}).tasks:
            result = result_of(unwritten.produce(task))
            pairs = zip(result.strings("family"), result.strings("mlir"), strict=True)
            texts = [text for family, text in pairs if family != NETWORK]
            unseen.add(result.split, texts, **(result.kept_out or {}))


def _write(
    root: Path, parents: Parents, choice: Choice, unseen: Decontamination, progress: Progress
) -> tuple[dict[str, Any], list[str]]:
    """Write all that is kept; return the manifest, and what the person is told."""
    sizes = {split: size for split in parents.sizes if (size := choice.size(split))}
    drawn = {split: size for split, size in sizes.items() if is_drawn(split)}
    config = dataclasses.replace(parents.config, splits=drawn)
    session = _session(parents)
    times: list[dict[Place, Measurement]] = [
        {} if session is None else read_measurements(parent.dataset.folder) for parent in parents.datasets
    ]
    counts: dict[str, Counter[str]] = {}
    diversity = DiversityCount()
    production = Production(attempted=parents.sizes.total())
    with Checksums(root) as checksums:
        for split, size in sizes.items():
            with SplitWriter(root, split, size, storage_of(config, split), checksums, diversity) as writer:
                for number, parent in parents.having(split):
                    for table in _kept_rows(parent, split, choice.kept[number, split], progress):
                        before = table.column("name").to_pylist()
                        is_numbered = is_drawn(split) or split == EXTRACTED
                        names = writer.write(table, None if is_numbered else before)
                        _count(production, table)
                        production.measured += [
                            (split, name, times[number][split, old])
                            for name, old in zip(names, before, strict=True)
                            if (split, old) in times[number]
                        ]
            counts[split] = writer.counts
    _, settings = merged_settings(config, counts)
    against = {**_kept_out_by_all(parents), **unseen.against}
    dropped = sum(choice.dropped, Counter[str]())
    besides: dict[str, Any] = {
        "funnel": funnel_of(STAGES, production.attempted, dropped),
        "parents": [_described(parent, choice.dropped[number]) for number, parent in enumerate(parents.datasets)],
    }
    if against:
        besides["decontamination"] = {"against": against, "left_out": dropped["unseen"]}
    manifest = write_description(
        root, settings, counts, {}, production, against, diversity.diversity(), session, besides
    )
    return manifest, _remarks(parents, manifest)


def _kept_rows(parent: ParentDataset, split: str, kept: Any, progress: Progress) -> Iterator[Any]:
    """Yield the rows of a parent's split that are kept, so many at a time that row groups have their usual size."""
    begin, waiting, rows = 0, [], 0
    for table in parent.dataset.tables(split, ROWS):
        chosen = kept[begin : begin + len(table)]
        begin += len(table)
        progress(len(table))
        if not chosen.any():
            continue
        waiting.append(parent.dataset.with_texts(split, table.filter(truth_array(chosen))))
        rows += len(waiting[-1])
        if rows >= ROWS:
            yield from _whole(waiting, rows)
            waiting, rows = [], 0
    if waiting:
        yield from _whole(waiting, rows)


def _whole(tables: list[Any], rows: int) -> Iterator[Any]:
    joined = pa.concat_tables(tables).combine_chunks()
    yield from (joined.slice(begin, ROWS) for begin in range(0, rows, ROWS))


def _count(production: Production, table: Any) -> None:
    production.checked += sum(level != "parse" for level in table.column("check").to_pylist())
    production.matched += sum(proven == "matched" for proven in table.column("proven").to_pylist())


def _kept_out_by_all(parents: Parents) -> dict[str, dict[str, Any]]:
    """Return what the manifests say of what every parent keeps out of its drawn splits, and none has."""
    fresh = {exclusion.identity for exclusion in parents.fresh}
    drawing = next((parent for parent in parents.datasets if parent.has_drawn), None)
    against: dict[str, dict[str, Any]] = {}
    for exclusion in parents.config.exclude:
        if drawing is None or exclusion.identity in fresh:
            continue
        suite = defined_suite(exclusion.name) if exclusion.digest is None else None
        home = exclusion.name if suite is None else suite.split
        if home not in parents.sizes:
            said = drawing.against.get(home, {})
            against[home] = {key: value for key, value in said.items() if key != "kept"}
    return against


def _described(parent: ParentDataset, dropped: Mapping[str, int]) -> dict[str, Any]:
    """Return what the manifest says of a parent."""
    programs, duplicates, unseen = parent.dataset.count(), dropped.get("unique", 0), dropped.get("unseen", 0)
    return {
        "dataset": parent.name,
        **{key: parent.manifest[key] for key in ("fingerprint", "digest", "generator_version")},
        "programs": programs,
        "duplicates": duplicates,
        "unseen": unseen,
        "kept": programs - duplicates - unseen,
    }


def _session(parents: Parents) -> dict[str, Any] | None:
    """Return how all parents were measured, and where; None where not all were, or in other ways."""
    sessions = [
        {key: parent.manifest[MEASUREMENTS_KEY].get(key) for key in _SESSION}
        for parent in parents.datasets
        if MEASUREMENTS_KEY in parent.manifest
    ]
    if len(sessions) < len(parents.datasets) or any(one != sessions[0] for one in sessions):
        return None
    records = [record for parent in parents.datasets for record in parent.manifest[MEASUREMENTS_KEY]["machines"]]
    return {"machines": list({record["id"]: record for record in records}.values()), **sessions[0]}


def _unlike(parents: Parents) -> str:
    """Say why the times of the parents do not go together."""
    without = [parent.name for parent in parents.datasets if MEASUREMENTS_KEY not in parent.manifest]
    if without:
        return f"{listed(without)} {'has' if len(without) == 1 else 'have'} none"
    first, *others = (parent.manifest[MEASUREMENTS_KEY] for parent in parents.datasets)
    unlike = [key for key in _SESSION if any(other.get(key) != first.get(key) for other in others)]
    return f"the {listed(unlike)} of the sessions differ"


def _remarks(parents: Parents, manifest: Mapping[str, Any]) -> list[str]:
    remarks = [
        f"{one['dataset']}: {one['kept']} of {one['programs']} programs kept; duplicates: {one['duplicates']}"
        + (f"; computing what no drawn program may: {one['unseen']}" if one["unseen"] else "")
        for one in manifest["parents"]
    ]
    if not parents.config.split_ratios and any(parent.has_drawn for parent in parents.datasets):
        remarks.append(
            "The proportions of the splits differ between them: what was in several splits is in the smallest of these."
        )
    if any(parent.config.save_weights for parent in parents.datasets):
        remarks.append("The networks' weights are left out; the datasets that they come from have them.")
    return remarks
