"""Check a dataset against all that it claims: `python scripts/verify.py outputs/<dataset>`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("verify")
