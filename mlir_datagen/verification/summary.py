"""What adds up over the rows of a dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Summary:
    """What was seen of the rows.

    Attributes:
        names: of the programs, in order, by split.
        families: how many programs of each family, by split.
        digests: the sha256 of each text, in order, by split; only of suites, whose digest needs them.
        checked: how many were checked beyond the parser.
        matched: how many are said to give the results of their reference.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    families: dict[str, Counter[str]] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)
    checked: int = 0
    matched: int = 0
