"""The part of the config about consumers' formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.config.values import check_keys, choice
from mlir_datagen.errors import UserError


@dataclass(frozen=True)
class ExportSettings:
    """The format that a dataset is written in as well.

    Attributes:
        consumer: whose format it is.
        train: the splits to train on; None for the usual ones.
    """

    consumer: str
    train: tuple[str, ...] | None


def parse_export(raw: Mapping[str, Any], consumers: tuple[str, ...]) -> ExportSettings | None:
    """Check the `export` part."""
    check_keys(raw, ("consumer", "train"), "export")
    consumer, train = raw.get("consumer"), raw.get("train")
    if consumer is None:
        return None
    if train is not None and not (isinstance(train, list) and train and all(isinstance(split, str) for split in train)):
        raise UserError(
            f"export.train is {train!r}, and must be a list of splits to train on: 'export.train=[train,extracted]'; "
            "null is the split train."
        )
    choice(consumer, "export.consumer", consumers)
    return ExportSettings(consumer, None if train is None else tuple(train))
