"""The head of the dataset card: YAML that Hugging Face reads.

Keys and values are those of https://github.com/huggingface/hub-docs/blob/main/datasetcard.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mlir_datagen.dataset.settings import DatasetSettings

DEFAULT_CONFIG = "default"

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def card_head(settings: DatasetSettings, indexes: Mapping[str, Sequence[str]], programs: int) -> str:
    """Return the head of a card, with the programs as the only config; it ends with the list of configs.

    Args:
        settings: of the run.
        indexes: the files of the index of each split.
        programs: how many there are.
    """
    licenses = list(settings.licenses)
    head = {
        "pretty_name": settings.dataset_name,
        "license": licenses[0] if len(licenses) == 1 else licenses,
        "language": ["code"],
        "language_creators": ["machine-generated"],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "task_categories": ["reinforcement-learning", "tabular-regression"],
        "tags": ["mlir", "linalg", "compilers"],
        "size_categories": [next((label for bound, label in _SIZES if programs < bound), "100M<n<1B")],
        "configs": [config_entry(DEFAULT_CONFIG, indexes)],
    }
    return yaml.safe_dump(head, sort_keys=False)


def config_entry(name: str, files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the entry of a config: what `datasets.load_dataset(path, name)` loads.

    Args:
        name: the config's.
        files: the Parquet files of each of its splits.
    """
    paths = {split: list(of) for split, of in files.items()}
    return {
        "config_name": name,
        "data_files": [{"split": split, "path": of[0] if len(of) == 1 else of} for split, of in paths.items()],
    }
