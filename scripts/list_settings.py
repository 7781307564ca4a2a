"""Print every setting, with its type and default; docs/configuration.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("list-settings")
