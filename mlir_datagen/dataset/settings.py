"""What a dataset tells of the run that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.dataset.paths import index_name, index_names
from mlir_datagen.ops.structured_operation import Versions
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings


@dataclass(frozen=True)
class DatasetSettings:
    """The settings of a run, as far as they are in the manifest or on the card.

    Attributes:
        name: the name that the run was given.
        fingerprint: of all that decides the dataset's bytes.
        saved: all settings, as plain values.
        seed: the seed.
        storage: `both`, `files` or `parquet`.
        programs_per_file: how many programs one file of Parquet has.
        splits: the splits whose programs are drawn.
        families: the op families that they are drawn from.
        forms: the forms in which their operations are asked for.
        versions: the MLIR that parses them all; None where only the index says that.
        networks: the networks' names.
        converted: how they were converted, as sentences.
        with_weights: whether their weights are stored.
        licenses: the licence that the dataset is under; those of all datasets that it was merged of.
        check: how far programs are checked.
        measure: whether and how they are measured.
        parents: of how many datasets it was merged; 0 where its programs were made.
    """

    name: str
    fingerprint: str
    saved: Mapping[str, Any]
    seed: int
    storage: str
    programs_per_file: int
    splits: tuple[str, ...]
    families: tuple[str, ...]
    forms: tuple[str, ...]
    versions: Versions | None
    networks: tuple[str, ...]
    converted: str
    with_weights: bool
    licenses: tuple[str, ...]
    check: CheckSettings
    measure: MeasureSettings
    parents: int = 0

    def index_files(self, split: str, programs: int) -> list[str]:
        """Return the paths of the index of a split with so many programs; what is listed is in one file."""
        return index_names(split, programs, self.programs_per_file) if split in self.splits else [index_name(split)]

    @property
    def dataset_name(self) -> str:
        """The name of the dataset's folder."""
        return f"{self.name}-{self.fingerprint}"
