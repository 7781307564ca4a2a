"""Print one program of every op, with its costs; docs/programs.md is what this prints."""

from __future__ import annotations

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.pipeline.gallery import gallery_page


def _main() -> None:
    """Print one program of every op, with its costs."""
    print(gallery_page(), end="")


command = Command(
    "list-programs", callback=_main, help=_main.__doc__, examples=[("> docs/programs.md", "write the page")]
)
