"""The columns of the page's table, and what its figures are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.presentation.dimensions import PARALLEL, REDUCTION
from mlir_datagen.presentation.facts import Facts, Words
from mlir_datagen.presentation.quantities import empirical_roof
from mlir_datagen.presentation.report.texts import PER_CHUNK

_MOST_BOUNDS = 200_000
"""Of loops, that a page has: of more, those of the first programs."""


def table_columns(facts: Facts, places: NDArray[np.int64]) -> dict[str, Any]:
    """Return a dataset as the page's table has it, in plain values.

    Args:
        facts: the dataset's.
        places: for each row, where its program's text is, counted through all chunks; -1 where the page has none.
    """
    roof = empirical_roof(facts)
    return {
        "name": facts.name,
        "programs": facts.programs,
        "texts": int((places >= 0).sum()),
        "per_chunk": PER_CHUNK,
        "processor": facts.processor,
        "roof": None if roof is None else list(roof),
        "counts": facts.families,
        "operations": facts.operations,
        "columns": {
            "name": list(facts.names),
            "split": _coded(facts.split),
            "family": _coded(facts.family),
            "kind": _coded(facts.kind),
            "dtype": _coded(facts.dtype),
            "dimensions": list(facts.dimensions),
            "flops": _numbers(facts.flops),
            "bytes": _numbers(facts.bytes_moved),
            "text": facts.text_bytes.tolist(),
            "operations": facts.nodes.tolist(),
            "loops": facts.loops.tolist(),
            "time": _numbers(facts.time_ns) if facts.is_measured else None,
            "disturbed": np.flatnonzero(facts.disturbed).tolist(),
            "place": places.tolist(),
        },
        "bounds": {name: _bounds(facts, name) for name in (PARALLEL, REDUCTION) if name in facts.extents},
    }


def _coded(words: Words) -> dict[str, Any]:
    return {"words": list(words.words), "codes": words.codes.tolist()}


def _numbers(values: NDArray[np.float64]) -> list[float | int | None]:
    """Return numbers, whole ones as such, and null where not known."""
    return [None if value != value else int(value) if value.is_integer() else value for value in values.tolist()]


def _bounds(facts: Facts, name: str) -> dict[str, list[int]]:
    rows, values = facts.extents[name]
    return {"rows": rows[:_MOST_BOUNDS].tolist(), "values": values[:_MOST_BOUNDS].tolist()}
