"""Which split a program belongs to: a function of its own content and the split ratios, and of nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.drawn.families import GraphSpec
from mlir_datagen.ops.family import Spec

HASH_BITS = 53


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64, a bijection that spreads every input bit over all output bits.

    (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014, the variant of Stafford's Mix13.)
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def stable_hash(words: str) -> int:
    """Return 64 bits that depend on the text alone: not on the process, as `hash` does."""
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")


def content_hash(family: str, spec: Spec | GraphSpec) -> NDArray[np.int64]:
    """Hash programs by what they are: family, kind, element type and dimensions; of drawn graphs, the graph.

    Args:
        family: the family's name.
        spec: a spec, or a spec of columns.

    Returns:
        One number below 2**53 for each program; zero-dimensional for a single spec.
    """
    if isinstance(spec, GraphSpec):
        return np.asarray(stable_hash(spec.content) >> (64 - HASH_BITS), np.int64)
    words, dimensions = spec.words, spec.dimensions
    state = np.uint64(stable_hash(" ".join([family, *words, str(len(dimensions))])))
    hashed = np.asarray(state)
    with np.errstate(over="ignore"):
        for dimension in dimensions:
            hashed = mix(hashed ^ np.asarray(dimension).astype(np.uint64))
        hashed = mix(hashed)
    return (hashed >> np.uint64(64 - HASH_BITS)).astype(np.int64)


def canonical_order(ratios: Mapping[str, int]) -> list[str]:
    """Return the splits' names, the largest first and equal ones by name, however they were written down."""
    return sorted(ratios, key=lambda name: (-ratios[name], name))


class Splitter:
    """Cuts the range of the hash into one interval for each split, in canonical order."""

    def __init__(self, ratios: Mapping[str, int]) -> None:
        self.names = canonical_order(ratios)
        total = sum(ratios.values())
        ends = accumulate(ratios[name] for name in self.names)
        self._thresholds = np.asarray([(end << HASH_BITS) // total for end in ends][:-1], np.int64)

    def __call__(self, family: str, spec: Spec | GraphSpec) -> NDArray[np.int64]:
        """Return each program's split, as an index into `names`."""
        return np.searchsorted(self._thresholds, content_hash(family, spec), side="right")
