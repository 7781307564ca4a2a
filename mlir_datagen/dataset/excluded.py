"""Datasets and suites whose programs are kept out of another dataset's random splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlir_datagen.config.suites import defined_suite
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.decontamination import Decontamination
from mlir_datagen.errors import UserError
from mlir_datagen.program import NETWORK
from mlir_datagen.sources.suite_spec import SuiteSpec


def keep_out_datasets(named: Sequence[str], unseen: Decontamination) -> None:
    """Take in the programs of datasets, but for whole networks, whose parts would have to be extracted.

    Args:
        named: folders; names of suites are passed over.
        unseen: takes them in.

    Raises:
        UserError: when a name is neither a dataset's folder nor a suite.
    """
    for folder in named:
        if defined_suite(folder) is not None:
            continue
        try:
            dataset = Dataset(Path(folder))
            texts = [program.text for program in dataset.programs() if program.family != NETWORK]
        except UserError as error:
            raise UserError(f"exclude names {folder}, which is neither a suite nor a dataset: {error}") from error
        unseen.add(folder, texts, digest=dataset.manifest["digest"])


def excluded_suites(named: Sequence[str]) -> list[SuiteSpec]:
    """Return the suites among what is kept out."""
    return [suite for suite in map(defined_suite, named) if suite is not None]
