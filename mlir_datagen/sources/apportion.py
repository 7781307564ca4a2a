"""Dividing a number of slots among takers in proportion to their weights, in an order that can be extended.

`sequence(n, …)` is a prefix of `sequence(n + 1, …)`, and as long as no taker runs out, after every slot each taker has
its exact share, rounded up or down. That is the Pfair schedule of one resource: the k-th slot of a taker with share p
lies in the window [floor(k / p), ceil((k + 1) / p)), and of the open windows the one that closes first is served.
(Baruah, Cohen, Plaxton, Varvel: Proportionate progress, Algorithmica 15, 1996.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

UNLIMITED = 1 << 62


def sequence(slots: int, weights: Sequence[Fraction], capacities: Sequence[int]) -> NDArray[np.int16]:
    """Return the taker of each slot, as an index into `weights`.

    A taker whose capacity is used up drops out when its next turn comes, and the rest go on in the proportions of
    their own weights. The result is shorter than `slots` only when all takers have dropped out.
    """
    left = list(capacities)
    active = [taker for taker, weight in enumerate(weights) if weight > 0 and left[taker] > 0]
    parts: list[NDArray[np.int16]] = [np.empty(0, np.int16)]
    missing = slots
    while active and missing:
        turns = np.resize(_one_period([weights[taker] for taker in active], missing), missing)
        cut, exhausted = missing, None
        for position, taker in enumerate(active):
            own = np.flatnonzero(turns == position)
            if len(own) > left[taker] and own[left[taker]] < cut:
                cut, exhausted = int(own[left[taker]]), taker
        taken = np.asarray(active, np.int16)[turns[:cut]]
        parts.append(taken)
        missing -= cut
        for taker in active:
            left[taker] -= int(np.count_nonzero(taken == taker))
        if exhausted is not None:
            active.remove(exhausted)
    return np.concatenate(parts)


def shares(slots: int, weights: Sequence[Fraction]) -> list[int]:
    """Return how many of the slots each taker gets when none runs out."""
    # Whole periods need not be gone through: the slots may be a hundred million.
    parts = smallest_integers(weights)
    periods, rest = divmod(slots, sum(parts) or 1)
    takers = sequence(rest, weights, [UNLIMITED] * len(weights))
    last = np.bincount(takers, minlength=len(weights))
    return [periods * part + int(count) for part, count in zip(parts, last, strict=True)]


def smallest_integers(weights: Sequence[Fraction]) -> list[int]:
    """Return the smallest whole numbers in the same proportions."""
    scale = math.lcm(*(weight.denominator for weight in weights))
    scaled = [int(weight * scale) for weight in weights]
    divisor = math.gcd(*scaled) or 1
    return [weight // divisor for weight in scaled]


def _one_period(weights: Sequence[Fraction], at_most: int) -> NDArray[np.int16]:
    """Return the schedule until it repeats itself, or its first `at_most` slots when that is shorter."""
    parts = smallest_integers(weights)
    period = sum(parts)
    served = [0] * len(parts)
    turns = np.empty(min(period, at_most), np.int16)
    for slot in range(len(turns)):
        best, best_deadline = -1, 0
        for taker, part in enumerate(parts):
            count = served[taker]
            if count * period // part <= slot:
                deadline = -((count + 1) * period // -part)
                if best < 0 or deadline < best_deadline:
                    best, best_deadline = taker, deadline
        served[best] += 1
        turns[slot] = best
    return turns
