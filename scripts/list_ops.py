"""Print which of linalg's operations there are ops for; docs/ops.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line import main  # isort: split

import sys

if __name__ == "__main__":
    sys.exit(main.script("list-ops"))
