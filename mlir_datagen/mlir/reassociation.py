"""Splitting a reshape into `tensor.collapse_shape` and `tensor.expand_shape`, which merge and split dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

Groups = list[list[int]]


def collapse_then_expand(
    source: Sequence[int], target: Sequence[int]
) -> tuple[tuple[int, ...], Groups | None, Groups | None]:
    """Return the shape between the two steps, and the groups of dimensions of each step.

    A step that would change nothing is None. The shape between is the finest that both shapes refine.

    Args:
        source: the shape before.
        target: the shape after, with as many elements.
    """
    segments = _segments(source, target)
    middle = tuple(math.prod(source[axis] for axis in left) for left, _ in segments)
    if not source or not target:
        # Dimensions of size 1 come from, or go to, no dimension at all.
        return (), ([] if source else None), ([] if target else None)
    collapsed = [left for left, _ in segments]
    expanded = [right for _, right in segments]
    return (
        middle,
        collapsed if any(len(left) > 1 for left in collapsed) else None,
        expanded if any(len(right) > 1 for right in expanded) else None,
    )


def _segments(source: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return the shortest runs of dimensions, in order, that have equally many elements in both shapes."""
    segments: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) and j < len(target):
        left, right = [i], [j]
        before, after = source[i], target[j]
        i, j = i + 1, j + 1
        while before != after:
            if before < after:
                before *= source[i]
                left.append(i)
                i += 1
            else:
                after *= target[j]
                right.append(j)
                j += 1
        segments.append((left, right))
    if segments:
        # What is left over on one side has size 1.
        segments[-1][0].extend(range(i, len(source)))
        segments[-1][1].extend(range(j, len(target)))
    return segments
