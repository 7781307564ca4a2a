"""The part of the config that spreads the programs over how long they run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.sources.apportion import smallest_integers
from mlir_datagen.sources.strata import WHOLE, Strata
from mlir_datagen.values import check_keys, positive_number

_KEYS = ("seconds", "shares")
_SECONDS = "'strata.seconds=[1.0e-3,1.0e-2,1.0e-1]'"
_SHARES = "'strata.shares=[1,2]'"


def parse_strata(raw: Mapping[str, Any]) -> Strata:
    """Check the `strata` part.

    Raises:
        UserError: when the times do not rise, or there is not a share for each class between two of them.
    """
    check_keys(raw, _KEYS, "strata")
    seconds, shares = raw.get("seconds"), raw.get("shares")
    if seconds is None:
        if shares is not None:
            raise UserError(
                f"strata.shares is {shares!r}, and strata.seconds, the times that its classes lie between, is not "
                f"given. Type for instance {_SECONDS} {_SHARES}, or strata=decades."
            )
        return WHOLE
    if not isinstance(seconds, list) or len(seconds) < 2:
        raise UserError(
            f"strata.seconds is {seconds!r}, and must be a list of at least two times in seconds. Type for instance "
            f"{_SECONDS}: two classes."
        )
    times = tuple(positive_number(time, "strata.seconds", _SECONDS) for time in seconds)
    for earlier, later in itertools.pairwise(times):
        if earlier >= later:
            raise UserError(
                f"strata.seconds has {later:g} after {earlier:g}, and its times must rise. Type for instance "
                f"{_SECONDS}."
            )
    classes = len(times) - 1
    if shares is not None and (not isinstance(shares, list) or len(shares) != classes):
        raise UserError(
            f"strata.shares is {shares!r}, and must be a list of {classes} numbers: the shares of the classes between "
            f"the {len(times)} times of strata.seconds. Type for instance 'strata.shares={[1] * classes}', or "
            "strata.shares=null for equal ones."
        )
    return Strata(times, tuple(_share(share) for share in shares or [1] * classes))


def _share(value: Any) -> Fraction:
    positive_number(value, "strata.shares", _SHARES)
    return Fraction(str(value))


def saved_strata(strata: Strata) -> dict[str, Any]:
    """Return strata as plain values, from which `parse_strata` makes them again."""
    return {"seconds": list(strata.seconds), "shares": smallest_integers(strata.shares)}
