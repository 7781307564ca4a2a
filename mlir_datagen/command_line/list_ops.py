"""Print which of linalg's operations there are ops for, and why none for others; docs/ops.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.ops.coverage import ops_page


def _main() -> None:
    """Print which of linalg's operations there are ops for, and why none for others."""
    print(ops_page(), end="")


command = Command("list-ops", callback=_main, help=_main.__doc__, examples=[("> docs/ops.md", "write the page")])
