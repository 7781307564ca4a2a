"""How long a program takes as plain loops: an estimate from its shape, before anything is made or run.

What it goes by was measured with LLVM's -O3, which makes of the loops, on one core of a Xeon at 2.5 GHz:

- vector instructions, where what reduces is short enough to be unrolled, or nothing reduces, and the innermost loop
  beside it is long, or whole vectors of 16: 0.1 ns for each point of the iteration space. Where that one is short,
  0.4 ns; where nothing reduces, 0.07 to 1.1 were seen then, by what LLVM makes of the loops around it;
- one addition after the other where the reduction is longer: 0.7 ns;
- a miss of the first cache for each point, 5 ns, where such a reduction reads a column whose elements are a multiple of
  2 KiB apart: they share few sets of that cache, which repeat every 4 KiB;
- 10 GB a second from and to memory, for what does not fit into the caches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_VECTOR_NS = 0.1
_UNROLLED_NS = 0.4
_SCALAR_NS = 0.7
_MISS_NS = 5.0
_MEMORY_NS_PER_BYTE = 0.1
_CACHE_BYTES = 16 << 20
_SAME_SETS_BYTES = 2048

_LONGEST_UNROLLED = 36
_MOST_UNROLLED = 64
_LONG_BESIDE_UNROLLED = 28
_LONG_ALONE = 64
_VECTOR_ELEMENTS = 16


def baseline_seconds(parallel: Sequence[Any], reduced: Sequence[Any], bytes_moved: Any, column_step: Any) -> Any:
    """Estimate how long one call takes, of one program or of columns of them.

    Args:
        parallel: the bounds of the loops that do not reduce, the innermost last.
        reduced: the bounds of those that do.
        bytes_moved: the size of arguments and results.
        column_step: how many bytes the innermost reduction goes on in memory for each element, in the operand where it
            goes farthest.
    """
    reduction, innermost = np.asarray(math.prod(reduced)), parallel[-1] if parallel else 1
    is_unrolled = reduction <= _MOST_UNROLLED
    for bound in reduced:
        is_unrolled = is_unrolled & (bound <= _LONGEST_UNROLLED)
    per_point = np.select(
        [
            (reduction == 1) & (innermost >= _LONG_ALONE),
            reduction == 1,
            is_unrolled & ((innermost >= _LONG_BESIDE_UNROLLED) | (innermost % _VECTOR_ELEMENTS == 0)),
            is_unrolled,
            column_step % _SAME_SETS_BYTES == 0,
        ],
        [_VECTOR_NS, _UNROLLED_NS, _VECTOR_NS, _UNROLLED_NS, _MISS_NS],
        _SCALAR_NS,
    )
    from_memory = np.maximum(0, bytes_moved - _CACHE_BYTES) * _MEMORY_NS_PER_BYTE
    return (math.prod(parallel) * reduction * per_point + from_memory) * 1e-9
