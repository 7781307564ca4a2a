"""Print and check one program: `python scripts/program.py matmul '{"m": 64, "n": 64, "k": 32}'`."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("program")
