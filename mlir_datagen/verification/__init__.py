"""Checking a finished dataset, which may be anyone's, against all that it claims.

`files` looks at the folder, `rows` at each program; `one_row` and `drawn_rows` have what is said of a row alone, which
other processes do; `drawn` and `listed` know what a row must be; `manifest` and `measured` compare what is counted;
`merged` knows both of a dataset that was made of others.
What follows from nothing in the dataset is not verified, and the last sentence says so.

May import: mlir, ops, programs, proving, dataset, networks, sources, config, executors, pipeline.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

from mlir_datagen.config import RunConfig
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.disk_errors import SHOWING
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, PRESENTATION_KEY
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.rejects import read_rejects
from mlir_datagen.errors import UserError
from mlir_datagen.executors.beginning import FEWEST_PROGRAMS
from mlir_datagen.executors.workers import Workers
from mlir_datagen.pipeline.parents import merged_settings
from mlir_datagen.programs.production import Progress
from mlir_datagen.programs.program import NETWORK, NETWORKS_SPLIT
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.settings import available_cores
from mlir_datagen.sources.settings import SUITES
from mlir_datagen.verification import drawn_rows
from mlir_datagen.verification.drawn import Drawing
from mlir_datagen.verification.files import check_files, file_set_problems
from mlir_datagen.verification.manifest import (
    card_is_ours,
    description_problems,
    manifest_problems,
    plain_problems,
    sum_problems,
)
from mlir_datagen.verification.measured import measurement_problems
from mlir_datagen.verification.merged import Merged, merged_problems, suite_problems
from mlir_datagen.verification.rows import RowChecks
from mlir_datagen.version import GENERATOR_VERSION

__all__ = ["UNVERIFIABLE_COLUMNS", "UNVERIFIABLE_KEYS", "refuse", "verify_dataset"]

UNVERIFIABLE_COLUMNS = frozenset({"error", "absolute_error"})
"""Columns whose numbers follow from nothing in a dataset; that there is one, or none, does."""

UNVERIFIABLE_KEYS = frozenset({"environment", MEASUREMENTS_KEY, PRESENTATION_KEY})
"""Keys of the manifest some of whose values follow from nothing in a dataset."""

_SHOWN = 10


def verify_dataset(folder: Path, progress: Progress = lambda count: None, workers: int | None = None) -> list[str]:
    """Check every file and every program of a dataset.

    Args:
        folder: the dataset's.
        progress: called with the number of programs that were just looked at.
        workers: how many worker processes look at programs, 0 for none; left out, one for each core where there are
            programs enough. What is found does not depend on it.

    Returns:
        What was checked, a sentence each.

    Raises:
        UserError: when something does not hold; it names the files or programs.
    """
    dataset = Dataset(folder)
    processes = _processes(dataset) if workers is None else workers
    if processes:
        SERVER.load([drawn_rows.__name__])
    checked = check_files(dataset, partial(refuse, folder))
    config = load_saved_config(folder / CONFIG)
    same_generator = dataset.manifest["generator_version"] == GENERATOR_VERSION
    rejected = read_rejects(folder)
    # Before anything is drawn again: the config may ask for a hundred million programs.
    refuse(folder, list(plain_problems(dataset, config)))
    settings = config.dataset_settings
    if config.merge:
        config, settings = merged_settings(config, dataset.manifest["counts"])
    problems: list[str] = []
    merged = Merged(dataset, config) if same_generator and config.merge else None
    drawing = Drawing(config, rejected) if same_generator and merged is None else None
    rows = RowChecks(dataset, config, rejected, drawing, merged)
    with Workers(processes) if processes else nullcontext() as executor:
        for some in rows.problems(executor, progress):
            problems += some
            if len(problems) > _SHOWN * _SHOWN:
                refuse(folder, problems)
    problems += rows.totals()
    if drawing is not None:
        problems += manifest_problems(dataset, config, rows.summary, rejected, drawing)
        problems += file_set_problems(dataset, config, rows.summary, rejected)
    elif merged is not None:
        problems += merged_problems(dataset, config, rows.summary)
        problems += suite_problems(rows.summary, dataset.manifest)
        problems += file_set_problems(dataset, config, rows.summary, [])
    else:
        problems += sum_problems(dataset, rows.summary)
    problems += measurement_problems(dataset, config, rows.summary)
    refuse(folder, problems)
    if same_generator:
        # Of a manifest that was found to be right.
        refuse(folder, list(description_problems(dataset, settings)))
    return [checked, *_sentences(dataset, config, same_generator, bool(rejected))]


def _processes(dataset: Dataset) -> int:
    """Return how many worker processes are worth it."""
    cores = len(available_cores())
    return cores if cores > 1 and dataset.count() >= FEWEST_PROGRAMS else 0


def refuse(folder: Path, problems: list[str], cure: str | None = None) -> None:
    """Raise what was found, if anything was, with what to do about it: left out, that is to make it again.

    Raises:
        UserError: with the first problems and the number of the others.
    """
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        cure = cure or (
            f"Generate it again: delete the folder and run scripts/generate.py with the settings of its {CONFIG}."
        )
        raise UserError(f"{folder} does not hold what it claims: {'; '.join(problems[:_SHOWN])}{more}. {cure}")


def _sentences(dataset: Dataset, config: RunConfig, same_generator: bool, has_rejects: bool) -> list[str]:
    version = dataset.manifest["generator_version"]
    remade = (
        "Each text, and all that the index and the manifest say, is what its spec, the config and the rejects give."
        if same_generator
        else f"They are of another generator version ({version}), so none was made again, and only what adds up was "
        "compared of the index and the manifest."
    )
    if same_generator and config.merge:
        remade = (
            "Each drawn text, and all that the index says of it, is what its spec and its seed give; what is counted "
            "adds up."
        )
    # Where the proportions of the parents differ, nothing says which split of theirs a program was in.
    decided = "Each is in the split that its content decides, and none" if config.split_ratios else "None"
    return [
        f"{dataset.count()} programs pass the parser and the verifier.",
        "No two are the same, within a split or across splits.",
        f"{decided} that was drawn computes what a suite here, or an extracted program, does.",
        remade,
        _unverified(dataset, config, has_rejects),
    ]


def _unverified(dataset: Dataset, config: RunConfig, has_rejects: bool) -> str:
    """Name what follows from nothing in the dataset."""
    unverified = ["the versions in the environment"]
    if not card_is_ours(dataset):
        unverified.append("the sentences of the card, which another version of mlir_datagen wrote")
    if config.check.level == "execute" or (config.merge and dataset.manifest["check"]["matched"]):
        unverified.append("the columns error and absolute_error")
        if config.models or (config.merge and NETWORKS_SPLIT in dataset.splits):
            unverified.append("the columns excused and unshown of networks")
    if MEASUREMENTS_KEY in dataset.manifest:
        unverified.append("the measured times and the machines")
    if has_rejects:
        unverified.append("why programs were rejected")
    if config.models or any(suite.models for suite in config.suites.values()):
        unverified.append(f"that a {NETWORK}'s text, and the names of its parameters, are its model's")
    besides = {
        "the weights": config.save_weights,
        f"what shows the dataset ({SHOWING})": PRESENTATION_KEY in dataset.manifest,
        "that no program is one of those that exclude names": bool(config.exclude),
    }
    unverified += [what for what, is_there in besides.items() if is_there]
    if config.merge:
        unverified += _unverified_of_merged(dataset)
    return (
        f"Not verified, as it follows from nothing here: {', '.join(unverified)}. scripts/reproduce.py compares more."
    )


def _unverified_of_merged(dataset: Dataset) -> list[str]:
    """Name what of a merged dataset follows from nothing in it."""
    drawn_or_suites = all(is_drawn(split) or split.startswith(f"{SUITES}.") for split in dataset.splits)
    networks = [] if drawn_or_suites else ["which networks there are, and what was taken out of which"]
    return ["the seeds, and what the datasets that it was merged of had", *networks]
