"""Print which operators the manual converter has and lacks; docs/manual_converter.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("list-operators")
