"""Make a dataset: `python scripts/generate.py 'ops=[matmul,conv2d]' num_samples=500`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("generate")
