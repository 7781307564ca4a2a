"""Whether two random programs are the same one, where several families may draw it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import FAMILIES
from mlir_datagen.programs.batch import Block, ProgramBlock
from mlir_datagen.programs.forms import Forms
from mlir_datagen.sources.settings import RandomSettings

_LARGEST_COUNTED = max(len(variant.operations) for family in FAMILIES.values() for variant in family.variants)
"""How many operations a program of a grid has at most: a drawn graph with more is none of these."""


def sameness(settings: RandomSettings) -> Sameness | None:
    """Return what tells programs apart; None where their texts do: without drawn graphs."""
    if not settings.has_drawn:
        return None
    return Sameness(settings.least_operations <= _LARGEST_COUNTED, len(settings.forms.asked) > 1)


def sameness_of_any(families: Iterable[str], forms: Forms) -> Sameness | None:
    """Return what tells the programs of any datasets apart, of which no more is known than families and forms."""
    several_forms = len(forms.asked) > 1
    if not several_forms and all(family in FAMILIES for family in families):
        return None
    return Sameness(may_be_small=True, several_forms=several_forms)


@dataclass(frozen=True)
class Sameness:
    """Gives equal keys to programs that are the same, and to no others.

    Drawn graphs are the same in whatever order they were made, so that their texts are but for the function's name;
    only small ones, and those of several forms, have to be read to be compared with others.

    It can be pickled, so that any process may give them.

    Attributes:
        may_be_small: whether drawn graphs may have as few operations as the programs of grids.
        several_forms: whether programs are written in more than one form.
    """

    may_be_small: bool
    several_forms: bool

    def keys(self, block: Block) -> list[str]:
        """Return the key of each program of a block."""
        hasher = ProgramHasher()
        if isinstance(block, ProgramBlock):
            count = len(block.variant.operations)
            return [self.key(block.family.name, count, text, hasher) for text in block.texts]
        return [
            self.key(one.family, len(one.outline.nodes) if one.outline is not None else 0, one.text, hasher)
            for one in block.programs
        ]

    def key(self, family: str, operations: int, text: str, hasher: ProgramHasher) -> str:
        """Return the key of a program.

        Args:
            family: its family, and its function's name.
            operations: how many it has.
            text: the program.
            hasher: reads it where that is needed.
        """
        is_small = self.may_be_small if family in FAMILIES else operations <= _LARGEST_COUNTED
        if is_small or self.several_forms:
            return hasher.hash(text)
        named = f"@{family}("
        return hashlib.sha256(text.replace(named, "@(", 1).encode()).hexdigest()
