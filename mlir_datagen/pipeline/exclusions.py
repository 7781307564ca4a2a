"""Datasets and suites whose programs are kept out of another dataset's random splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mlir_datagen.config import RunConfig
from mlir_datagen.config.suites import defined_suite, suite_names
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError, nearest
from mlir_datagen.programs.program import NETWORK
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.settings import Exclusion, SuiteSpec


def with_found_exclusions(config: RunConfig) -> RunConfig:
    """Return a config whose excluded datasets are found: by their absolute paths, and with their digests.

    Raises:
        UserError: when a name is neither a dataset's folder nor a suite, or a dataset is not the one of that digest.
    """
    return dataclasses.replace(config, exclude=tuple(map(found_exclusion, config.exclude)))


def keep_out_datasets(excluded: Sequence[Exclusion], unseen: Decontamination) -> None:
    """Take in the programs of datasets, but for whole networks, whose parts would have to be extracted.

    Args:
        excluded: what `with_found_exclusions` found; suites are passed over.
        unseen: takes them in.
    """
    for exclusion in excluded:
        if exclusion.digest is not None:
            dataset = Dataset(Path(exclusion.name))
            texts = [program.text for program in dataset.programs() if program.family != NETWORK]
            unseen.add(exclusion.name, texts, digest=exclusion.digest)


def excluded_suites(excluded: Sequence[Exclusion]) -> list[SuiteSpec]:
    """Return the suites among what is kept out."""
    suites = [defined_suite(exclusion.name) for exclusion in excluded if exclusion.digest is None]
    return [suite for suite in suites if suite is not None]


def found_exclusion(exclusion: Exclusion) -> Exclusion:
    """Return what is excluded with its absolute path and its digest, where it is a dataset.

    Raises:
        UserError: as `with_found_exclusions`.
    """
    if exclusion.digest is None and defined_suite(exclusion.name) is not None:
        return exclusion
    try:
        folder = Path(exclusion.name).expanduser().resolve()
        digest = Dataset(folder).manifest["digest"]
    except (UserError, RuntimeError) as error:
        near = nearest(exclusion.name, suite_names())
        raise UserError(
            f"exclude names {exclusion.name}, which is neither a suite nor a dataset.{near} {error}"
        ) from error
    if exclusion.digest not in (None, digest):
        raise UserError(
            f"exclude names the dataset {folder} with the digest {exclusion.digest}, and that has {digest} now: it "
            "was made anew. Restore it, or leave the digest out ('exclude=[<its folder>]') to make another dataset."
        )
    return Exclusion(str(folder), digest)
