"""Check a folder against all that MLIR-RL reads: `python scripts/check_mlir_rl.py outputs/<dataset>/mlir_rl`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("check")
