"""The part of the config about consumers' formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.errors import UserError, shown
from mlir_datagen.values import check_keys, choice, whole_number

DEFAULT_MIN_NS = 10_000
"""What is shorter is mostly the clock's own time, and nothing can be learned from it."""


@dataclass(frozen=True)
class TimeBounds:
    """The measured times, in nanoseconds, of the programs that are exported.

    Attributes:
        min_ns: the least; None is no bound.
        max_ns: the most; None is what the consumer allows.
    """

    min_ns: int | None = DEFAULT_MIN_NS
    max_ns: int | None = None


@dataclass(frozen=True)
class ExportSettings:
    """The format that a dataset is written in as well.

    Attributes:
        consumer: whose format it is.
        train: the splits to train on; None for the usual ones.
        bounds: the times of the programs that are in it.
        torch: whether PyTorch's times are measured, where the format has them and PyTorch is installed.
    """

    consumer: str
    train: tuple[str, ...] | None = None
    bounds: TimeBounds = TimeBounds()
    torch: bool = True


def parse_export(raw: Mapping[str, Any], consumers: tuple[str, ...]) -> ExportSettings | None:
    """Check the `export` part."""
    check_keys(raw, ("consumer", "train", "min_ns", "max_ns", "torch"), "export")
    consumer, train = raw.get("consumer"), raw.get("train")
    if consumer is None:
        return None
    if train is not None and not (isinstance(train, list) and train and all(isinstance(split, str) for split in train)):
        raise UserError(
            f"export.train is {shown(train)}, and must be a list of splits to train on: "
            "'export.train=[train,extracted]'; null is the split train."
        )
    choice(consumer, "export.consumer", consumers)
    bounds = parse_time_bounds(raw.get("min_ns", DEFAULT_MIN_NS), raw.get("max_ns"), "export.min_ns", "export.max_ns")
    torch = choice(raw.get("torch", True), "export.torch", (True, False))
    return ExportSettings(consumer, None if train is None else tuple(train), bounds, torch)


def parse_time_bounds(min_ns: Any, max_ns: Any, min_key: str, max_key: str) -> TimeBounds:
    """Check the bounds on the times of what is exported.

    Args:
        min_ns: the least, in nanoseconds; None is no bound.
        max_ns: the most.
        min_key: what the person who gave the first calls it.
        max_key: and the second.

    Raises:
        UserError: when one is no time, or no time lies between them.
    """
    if min_ns is not None:
        whole_number(min_ns, min_key, minimum=0, example=f"{min_key}={DEFAULT_MIN_NS}")
    if max_ns is not None:
        whole_number(max_ns, max_key, minimum=1, example=f"{max_key}=1000000000")
    if min_ns is not None and max_ns is not None and min_ns > max_ns:
        raise UserError(
            f"{min_key} is {min_ns} and {max_key} is {max_ns}: no time is at least the one and at most the other. "
            f"Give the smaller number to {min_key}: {min_key}={max_ns} {max_key}={min_ns}."
        )
    return TimeBounds(min_ns, max_ns)
