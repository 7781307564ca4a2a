"""Wrong programs of the op families: the text of a right one with one of the faults of `program_faults.py`.

A fault is planted only where the text that it gives is still a valid program. Whether that computes anything else is
not asked here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
from program_faults import Plant, faults_of

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec, Variant

_EXTENTS = {"kernel": (1, 2, 3), "stride": (1, 2, 3), "dilation": (1, 2), "height": (5, 7, 8), "width": (5, 7, 8)}
_OTHERS = (1, 2, 3, 4, 5, 7)
_MOST_TRIES = 1000


class Planted(NamedTuple):
    """A wrong program, and the right one."""

    family: OpFamily
    spec: Spec
    kind: str
    right: str
    wrong: str


def plant(names: Sequence[str], count: int, seed: int) -> Iterator[Planted]:
    """Yield wrong programs, all different: of each family, its variants and their faults in turn, while there are more.

    Raises:
        RuntimeError: when a fault cannot be planted at all.
    """
    generator = np.random.default_rng(seed)
    verifier = Verifier()
    seen: set[str] = set()
    families = deque(deque((turn, True) for turn in _turns(FAMILIES[name])) for name in names)
    while families and len(seen) < count:
        turns = families.popleft()
        (family, variant, kind, fault), is_first = turns.popleft()
        planted = _planted(family, variant, kind, fault, generator, verifier, seen)
        if planted is not None:
            seen.add(planted.wrong)
            yield planted
            turns.append(((family, variant, kind, fault), False))
        elif is_first:
            raise RuntimeError(f"{kind} cannot be planted in {family.name} {variant.name}")
        if turns:
            families.append(turns)


def _turns(family: OpFamily) -> list[tuple[OpFamily, Variant, str, Plant]]:
    """Return all faults of a family: one of each variant, then the next of each."""
    numbered = [
        (number, family, variant, *fault)
        for variant in family.variants
        for number, fault in enumerate(faults_of(family.name, variant))
    ]
    return [turn for _, *turn in sorted(numbered, key=lambda one: one[0])]  # type: ignore[misc]


def _planted(
    family: OpFamily,
    variant: Variant,
    kind: str,
    fault: Plant,
    generator: np.random.Generator,
    verifier: Verifier,
    seen: Set[str],
) -> Planted | None:
    """Return a wrong program that was not seen, or None where so many tries give none."""
    for _ in range(_MOST_TRIES):
        spec = random_spec(family, variant, generator)
        right = family.program(spec)
        wrong = fault(right, spec, generator)
        if wrong is not None and wrong != right and wrong not in seen and _is_valid(wrong, verifier):
            return Planted(family, spec, kind, right, wrong)
    return None


def _is_valid(text: str, verifier: Verifier) -> bool:
    try:
        verifier.verify(text)
    except Rejection:
        return False
    return True


def random_spec(family: OpFamily, variant: Variant, generator: np.random.Generator) -> Spec:
    """Return a spec of small dimensions, in which equal ones are frequent."""
    while True:
        common = generator.choice(_OTHERS[1:])
        extents = []
        for axis in variant.axes:
            drawn = generator.choice(_EXTENTS.get(axis.split("_")[0], _OTHERS))
            is_common = axis.split("_")[0] not in _EXTENTS and generator.random() < 0.4
            extents.append(int(common if is_common else drawn))
        spec = family.spec(variant, *extents)
        if all(constraint.holds for constraint in family.constraints(spec)):
            return spec
