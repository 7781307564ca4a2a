"""Whether two random programs are the same one, where several families may draw it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.programs.batch import Block, ProgramBlock
from mlir_datagen.programs.forms import Forms
from mlir_datagen.sources.settings import RandomSettings

_LARGEST_COUNTED = max(len(variant.operations) for family in FAMILIES.values() for variant in family.variants)
"""How many operations a program of a grid has at most: a drawn graph with more is none of these."""

WITHOUT_BODY = frozenset(
    name for name, family in FAMILIES.items() if not all(variant.operation.has_body for variant in family.variants)
)
"""The families some of whose programs do not say in their text what they compute."""


def sameness(settings: RandomSettings) -> Sameness | None:
    """Return what tells programs apart; None where their texts do: without drawn graphs."""
    if not settings.has_drawn:
        return None
    largest = _largest_counted(settings.ops)
    return Sameness(largest, settings.least_operations <= largest, len(settings.forms.asked) > 1)


def sameness_of_any(families: Collection[str], forms: Forms) -> Sameness | None:
    """Return what tells the programs of any datasets apart, of which no more is known than families and forms."""
    several_forms = len(forms.asked) > 1
    if not several_forms and all(family in FAMILIES for family in families):
        return None
    return Sameness(_largest_counted(families), may_be_small=True, several_forms=several_forms)


def _largest_counted(families: Iterable[str]) -> int:
    counted = [variant for name in families if name in FAMILIES for variant in FAMILIES[name].variants]
    return max([_LARGEST_COUNTED, *(len(variant.operation.parts) for variant in counted)])


@dataclass(frozen=True)
class Sameness:
    """Gives equal keys to programs that are the same, and to no others.

    Drawn graphs are the same in whatever order they were made, so that their texts are but for the function's name;
    only small ones, and those of several forms, have to be read to be compared with others.

    It can be pickled, so that any process may give them.

    Attributes:
        largest_counted: how many operations a program of a grid has at most, as `linalg.generic`.
        may_be_small: whether drawn graphs may have as few operations as the programs of grids.
        several_forms: whether programs are written in more than one form.
    """

    largest_counted: int
    may_be_small: bool
    several_forms: bool

    def keys(self, block: Block) -> list[str]:
        """Return the key of each program of a block."""
        hasher = ProgramHasher()
        if isinstance(block, ProgramBlock):
            count = len(block.variant.operations)
            texts = [compared(block.family, *pair) for pair in zip(block.specs, block.texts, strict=True)]
            return [self.key(block.family.name, count, text, hasher) for text in texts]
        return [
            self.key(one.family, len(one.outline.nodes) if one.outline is not None else 0, one.text, hasher)
            for one in block.programs
        ]

    def key(self, family: str, operations: int, text: str, hasher: ProgramHasher) -> str:
        """Return the key of a program.

        Args:
            family: its family, and its function's name.
            operations: how many it has.
            text: the program, as `compared` has it.
            hasher: reads it where that is needed.
        """
        is_small = self.may_be_small if family in FAMILIES else operations <= self.largest_counted
        if is_small or self.several_forms:
            return hasher.hash(text)
        named = f"@{family}("
        return hashlib.sha256(text.replace(named, "@(", 1).encode()).hexdigest()


def compared(family: AnyFamily, spec: AnySpec, text: str) -> str:
    """Return the text of a program that says what it computes: of an operation without a body, its name does not.

    Args:
        family: the program's family.
        spec: its spec.
        text: the program in the form that it has.
    """
    return text if family.main_operation(spec).has_body else family.program(spec, GENERIC)


def short_key(digest: str) -> bytes:
    """Return what is kept of a digest: half of it tells programs apart, and takes less memory."""
    return bytes.fromhex(digest[:32])
