"""Print which of linalg's operations there are ops for, and why none for others; docs/ops.md is what this prints."""

from __future__ import annotations

import _cli  # isort: split

import sys

from mlir_datagen.ops.coverage import ops_page


def main() -> None:
    """Print the page."""
    print(ops_page(), end="")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
