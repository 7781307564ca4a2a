"""What is kept out of the random splits, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Exclusion:
    """A suite, or a dataset, whose programs are kept out of the random splits.

    Attributes:
        name: the suite's name, or the dataset's folder.
        digest: the dataset's; None for a suite, which is fixed, and for a dataset that was not looked at yet.
    """

    name: str
    digest: str | None = None

    def to_saved(self) -> str | dict[str, Any]:
        """Return it as `exclude` has it."""
        return self.name if self.digest is None else {"dataset": self.name, "digest": self.digest}

    @property
    def identity(self) -> str:
        """What a run's programs depend on: not the place of a dataset."""
        return self.digest or self.name
