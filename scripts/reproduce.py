"""Make a dataset again from its saved config and compare: `python scripts/reproduce.py outputs/<dataset>`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("reproduce")
