"""Make the pictures and the report of a dataset: `python scripts/report.py outputs/<dataset>`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("report")
