"""The Python call of the original README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline import generate_files
from mlir_datagen.sources.random_ops import RandomOps

_SPLIT = "programs"


class RandomMLIRGenerator:
    """Writes random single-op programs as `.mlir` files.

    One generator never writes the same program twice: each call goes on where the last one stopped, so a large set
    can be made in batches, and a training and a test set made with one generator share nothing. A new generator with
    the same seed makes the same programs again.

    Args:
        seed: decides which programs are drawn, and in which order.
        dims: the dimension grids, a file of `conf/dims/` (`default`, `small` or `large`).
    """

    def __init__(self, seed: int = 42, dims: str = "default") -> None:
        self._overrides = [f"seed={seed}", f"dims={dims}"]
        self._taken: Mapping[tuple[str, str], int] = {}

    def generate_dataset(
        self, num_samples: int, output_dir: str | Path, operation_types: Sequence[str] | None = None
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
        overrides = [*self._overrides, f"num_samples={num_samples}", f"split_ratios={{{_SPLIT}: 1}}"]
        if operation_types is not None:
            overrides.append(f"ops=[{','.join(operation_types)}]")
        config = compose_config(overrides)
        files, self._taken = generate_files(config, RandomOps(config), Path(output_dir), self._taken)
        return files
