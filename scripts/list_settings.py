"""Print every setting, with its type and default; docs/configuration.md is what this prints."""

from __future__ import annotations

import _cli  # isort: split

import sys

from mlir_datagen.config.settings_page import settings_page


def main() -> None:
    """Print the page."""
    print(settings_page(), end="")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
