"""Print which of linalg's operations there are ops for; docs/ops.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

if __name__ == "__main__":
    main.script("list-ops")
