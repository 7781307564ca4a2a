"""The Python call of the original README, and the programs of a config one by one."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import SupportsIndex

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate_files
from mlir_datagen.pipeline.virtual import VirtualDataset
from mlir_datagen.programs.program import Program

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


def program_at(config: Sequence[str] | str | Path, split: str, index: SupportsIndex) -> Program:
    """Return a program of a config without making its dataset: the same bytes, at any number in any order.

        program_at(["ops=[matmul,conv2d]", "dims=large", "num_samples=1000000"], "train", 123456).text

    The first call plans as far as that program; later ones, up to twice as far, take some 0.1 ms.

    Args:
        config: settings as on the command line, or the path of a dataset's `config.yaml`. Its ops are single
            operations, and its programs only parsed.
        split: the split.
        index: the program's number in it.

    Returns:
        The program: its `name`, `text`, `spec`, and all else that the dataset would say of it.

    Raises:
        UserError: for a config that is not known to have this program before its dataset is made, a split or number
            that it does not have, or settings that are not allowed.
    """
    if isinstance(config, (str, Path)):
        path = Path(config)
        # A file that has changed is another config.
        changed = path.stat().st_mtime_ns if path.exists() else 0
        return _saved_dataset(path, changed).program(split, _whole(index, "index"))
    return _dataset(tuple(config)).program(split, _whole(index, "index"))


@lru_cache(maxsize=8)
def _dataset(settings: tuple[str, ...]) -> VirtualDataset:
    return VirtualDataset(compose_config(settings))


@lru_cache(maxsize=8)
def _saved_dataset(path: Path, changed: int) -> VirtualDataset:
    return VirtualDataset(load_saved_config(path))


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
