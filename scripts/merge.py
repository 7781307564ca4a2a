"""Make one dataset of several, or of all shards: `python scripts/merge.py outputs/random-* -o merged`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("merge")
