"""What each family gives to each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.sources.walk import Existing


@dataclass(frozen=True)
class StratumQuota:
    """What one family gives to one split in one stratum.

    Attributes:
        begin, end: of the estimated time, in seconds.
        asked: its exact share of the family's programs.
        planned: its programs in the plan, which are fewer where it ran out, and more where others did.
    """

    begin: float
    end: float
    asked: int
    planned: int


@dataclass(frozen=True)
class Quota:
    """What one family gives to one split.

    Attributes:
        asked: its exact share of the split.
        planned: its programs in the plan, which differ where a family ran out.
        existing: how many programs there are for the split.
        exhausted: whether it has fewer left than asked for.
        strata: the same by stratum, where there are several.
    """

    split: str
    family: str
    asked: int
    planned: int
    existing: Existing
    exhausted: bool
    strata: tuple[StratumQuota, ...] = ()

    @property
    def scarce(self) -> tuple[StratumQuota, ...]:
        """The strata that have fewer programs than their share."""
        return tuple(stratum for stratum in self.strata if stratum.planned < stratum.asked)


def quotas_part(families: Iterable[str], quotas: Sequence[Quota], rejected: Sequence[Rejected]) -> dict[str, Any]:
    """Return what the manifest says of what each family was asked for, had, and lost, by split."""
    failed = Counter((one.split, one.family) for one in rejected)
    return {
        family: {quota.split: _quota(quota, failed[quota.split, family]) for quota in quotas if quota.family == family}
        for family in families
    }


def _quota(quota: Quota, rejected: int) -> dict[str, Any]:
    suffix = {"exact": "", "at most": "_at_most", "at least": "_at_least"}[quota.existing.meaning]
    return {
        "asked": quota.asked,
        f"existing{suffix}": quota.existing.number,
        "planned": quota.planned,
        "rejected": rejected,
        "exhausted": quota.exhausted,
        **({"strata": [_stratum(stratum) for stratum in quota.strata]} if quota.strata else {}),
    }


def _stratum(stratum: StratumQuota) -> dict[str, float]:
    return {"from": stratum.begin, "to": stratum.end, "asked": stratum.asked, "planned": stratum.planned}
