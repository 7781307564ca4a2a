"""The part of the config that names finished datasets of which one is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.errors import UserError, shown

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
_EXAMPLE = "'ops=[]' 'merge=[outputs/<dataset>,outputs/<another>]'"


@dataclass(frozen=True)
class Parent:
    """A dataset that is merged with others.

    Attributes:
        folder: its folder.
        fingerprint, digest: its own, by which it is known wherever it is; None where it was not looked at yet.
    """

    folder: str
    fingerprint: str | None = None
    digest: str | None = None

    def to_saved(self) -> str | dict[str, Any]:
        """Return it as `merge` has it."""
        if self.digest is None:
            return self.folder
        return {"dataset": self.folder, "fingerprint": self.fingerprint, "digest": self.digest}

    @property
    def identity(self) -> str:
        """What the merged dataset depends on: not the place of this one.

        The digest says which programs it has, the fingerprint what is known of them.
        """
        return self.folder if self.digest is None else f"{self.fingerprint} {self.digest}"


def parse_merge(value: Any) -> tuple[Parent, ...]:
    """Check the folders of the datasets that are merged; their order counts.

    Raises:
        UserError: when they are not at least two different ones.
    """
    if value is None or value == []:
        return ()
    entries = [_parent(entry) for entry in value] if isinstance(value, list) else [None]
    parents = tuple(entry for entry in entries if entry is not None)
    if len(parents) < len(entries):
        raise UserError(
            f"merge is {shown(value)}, and must be a list of datasets' folders. Type for instance {_EXAMPLE}."
        )
    if len(parents) == 1:
        raise UserError(
            f"merge has one dataset, {parents[0].folder}, and needs at least two. Type for instance {_EXAMPLE}."
        )
    if len({parent.identity for parent in parents}) < len(parents):
        raise UserError(f"merge is {shown(value)}, and has one of these datasets twice. Name each once.")
    return parents


def _parent(entry: Any) -> Parent | None:
    """Return a folder, or a dataset as a saved config has it; None for anything else."""
    if isinstance(entry, str) and entry:
        return Parent(entry)
    if not isinstance(entry, Mapping) or set(entry) != {"dataset", "fingerprint", "digest"} or not entry["dataset"]:
        return None
    values = folder, fingerprint, digest = entry["dataset"], entry["fingerprint"], entry["digest"]
    is_right = all(isinstance(one, str) for one in values) and _FINGERPRINT.fullmatch(fingerprint)
    return Parent(folder, fingerprint, digest) if is_right and _DIGEST.fullmatch(digest) else None


def refuse_beside_merge(given: Mapping[str, Any]) -> None:
    """Refuse what would make programs where finished datasets are merged.

    Args:
        given: keys of the config, with what was chosen there, if anything.

    Raises:
        UserError: with the first key that something was chosen of.
    """
    key = next((key for key, chosen in given.items() if chosen), None)
    if key is not None:
        raise UserError(
            f"merge makes one dataset of finished ones, and {key} would make other programs, or do more with them, for "
            f"which there are scripts/measure.py and scripts/export.py. Leave it out, and choose no ops: {_EXAMPLE}."
        )
