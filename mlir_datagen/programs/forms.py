"""In which form a program is written: by shares, from the seed and the program alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.ops.structured_operation import FORMS, NAMED
from mlir_datagen.programs.content import stable_hash
from mlir_datagen.programs.spec import spec_json


@dataclass(frozen=True)
class Forms:
    """The share of each form among drawn programs, in the order of `FORMS`."""

    shares: tuple[int, ...]

    def of(self, seed: int, family: AnyFamily, spec: AnySpec) -> str:
        """Return the form that is asked for of a program.

        Args:
            seed: of the run.
            family: the program's family.
            spec: its spec.
        """
        if len(self.asked) == 1:
            return self.asked[0]
        place = stable_hash(f"form {seed} {family.name} {spec_json(spec)}") % sum(self.shares)
        for form, share in zip(FORMS, self.shares, strict=True):
            if place < share:
                return form
            place -= share
        raise AssertionError("there is no share")

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The forms that any program is asked for in."""
        return tuple(form for form, share in zip(FORMS, self.shares, strict=True) if share)


ALL_NAMED = Forms((1, 0, 0))


class Written(NamedTuple):
    """How a program is written.

    Attributes:
        form: of its main operation; None for what is not of a family.
        minimum_mlir: the oldest MLIR that parses it, of 16, 19 and 22; None where that is not known.
        maximum_mlir: the newest one; None where no end is known.
    """

    form: str | None
    minimum_mlir: int | None
    maximum_mlir: int | None


UNKNOWN = Written(None, None, None)


def written(family: AnyFamily, spec: AnySpec, asked: str = NAMED) -> Written:
    """Return how a program is written where a form is asked for."""
    return Written(family.main_operation(spec).form(asked), *family.versions(spec, asked))
