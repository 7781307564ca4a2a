"""The Python call of the original README."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import SupportsIndex

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate_files

_SPLIT = "programs"


class RandomMLIRGenerator:
    """Writes random single-op programs as `.mlir` files.

    One generator never writes the same program twice: each call goes on where the last one stopped, so a large set
    can be made in batches, and a training and a test set made with one generator share nothing. A new generator with
    the same seed makes the same programs again.

    Args:
        seed: decides which programs are drawn, and in which order.
        dims: the dimension grids, a file of `conf/dims/` (`default`, `small` or `large`).

    Raises:
        UserError: for a seed or grids that there cannot be.
    """

    def __init__(self, seed: SupportsIndex = 42, dims: str = "default") -> None:
        self._overrides = [f"seed={_whole(seed, 'seed')}", f"dims={_word(dims, 'dims')}"]
        compose_config(self._overrides)
        self._taken: Mapping[tuple[str, str], int] = {}

    def generate_dataset(
        self, num_samples: SupportsIndex, output_dir: str | Path, operation_types: Iterable[str] | None = None
    ) -> list[Path]:
        """Write programs and an index (`index.parquet`) into a folder.

        Args:
            num_samples: how many programs, in equal shares of the families.
            output_dir: the folder, made when missing; what an earlier call wrote there is replaced.
            operation_types: the op families, all when left out.

        Returns:
            The paths of the `.mlir` files, in order.

        Raises:
            UserError: for an unknown family, a number below 1, more programs than exist, or a folder that cannot be
                written or holds other things. It is a ValueError.
        """
        overrides = [
            *self._overrides,
            f"num_samples={_whole(num_samples, 'num_samples')}",
            f"split_ratios={{{_SPLIT}: 1}}",
        ]
        if operation_types is not None:
            if isinstance(operation_types, str):
                raise UserError(f"operation_types is {operation_types!r}, and must be a list: [{operation_types!r}].")
            overrides.append(f"ops=[{','.join(_word(name, 'operation_types') for name in operation_types)}]")
        config = compose_config(overrides)
        files, self._taken = generate_files(config, Path(output_dir), self._taken)
        return files


def _whole(value: SupportsIndex, name: str) -> int:
    """Return a whole number of any type, numpy's included; its range is checked with the config."""
    try:
        return operator.index(value)
    except TypeError:
        raise UserError(f"{name} is {value!r}, and must be a whole number.") from None


def _word(value: str, name: str) -> str:
    """Return a name that means one thing only as a setting."""
    if not isinstance(value, str) or not re.fullmatch(r"\w+", value, re.ASCII):
        raise UserError(f"{name} has {value!r}, which is no name: letters, digits and underscores.")
    return value
