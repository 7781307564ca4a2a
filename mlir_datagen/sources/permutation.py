"""A seeded order of the numbers below `size`, any part of which can be computed alone and in constant memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.programs.content import mix, stable_hash

ROUNDS = 8
MAXIMUM_SIZE = 1 << 62


class Permutation:
    """A pseudorandom bijection of range(size) to itself, decided by the seed and the stream's name.

    A Feistel network over pairs of numbers below ceil(sqrt(size)), applied again where it leaves the range.
    (Black, Rogaway: Ciphers with arbitrary finite domains, CT-RSA 2002.)
    """

    def __init__(self, size: int, seed: int, stream: str) -> None:
        if not 0 < size <= MAXIMUM_SIZE:
            raise ValueError(f"size must be between 1 and 2**62, not {size}")
        self.size = size
        self._side = np.uint64(math.isqrt(size - 1) + 1)
        sequence = np.random.SeedSequence(seed, spawn_key=(stable_hash(stream),))
        self._keys = sequence.generate_state(ROUNDS, np.uint64)

    def __call__(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the elements at positions start to stop (exclusive)."""
        images = self._feistel(np.arange(start, stop, dtype=np.uint64))
        outside = np.flatnonzero(images >= self.size)
        while len(outside):
            images[outside] = self._feistel(images[outside])
            outside = outside[images[outside] >= self.size]
        return images.astype(np.int64)

    def _feistel(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = np.divmod(values, self._side)
        for key in self._keys:
            left, right = right, (left + mix(right ^ key) % self._side) % self._side
        return left * self._side + right
