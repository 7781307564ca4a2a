"""Print every setting, with its type and default; docs/configuration.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.config.settings_page import settings_page


def _main() -> None:
    """Print every setting, with its type and default."""
    print(settings_page(), end="")


command = Command(
    "list-settings", callback=_main, help=_main.__doc__, examples=[("> docs/configuration.md", "write the page")]
)
