"""Where the composable configs are."""

from __future__ import annotations

from pathlib import Path


def config_directory() -> Path:
    """Return the folder with the composable configs: of the checkout, or of the installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"
