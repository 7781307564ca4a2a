"""Print which operators the manual converter has and lacks; docs/manual_converter.md is what this prints."""

from __future__ import annotations

import _cli  # isort: split

import sys

from mlir_datagen.networks.manual.coverage import coverage_page


def main() -> None:
    """Print the page."""
    print(coverage_page(), end="")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
