"""Write a dataset in the format of a consumer: `python scripts/export.py mlir_rl outputs/<dataset>`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("export")
