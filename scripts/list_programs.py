"""Print one program of every op, with its costs; docs/programs.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("list-programs")
