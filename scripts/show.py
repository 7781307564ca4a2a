"""Look at a dataset, or at one program of it: `python scripts/show.py outputs/<dataset> train/matmul_0003`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("show")
