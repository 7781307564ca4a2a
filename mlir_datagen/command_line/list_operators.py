"""Print which operators the manual converter has and lacks; docs/manual_converter.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.networks.manual.coverage import coverage_page


def _main() -> None:
    """Print which operators the manual converter has and lacks."""
    print(coverage_page(), end="")


command = Command(
    "list-operators", callback=_main, help=_main.__doc__, examples=[("> docs/manual_converter.md", "write the page")]
)
