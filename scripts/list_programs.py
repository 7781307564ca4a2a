"""Print one program of every op, with its costs; docs/programs.md is what this prints."""

from __future__ import annotations

import _cli  # isort: split

import sys

from mlir_datagen.pipeline.gallery import gallery_page


def main() -> None:
    """Print the page."""
    print(gallery_page(), end="")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
