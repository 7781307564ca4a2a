"""Pages of the site that are files of the repository: their links are those of the repository until here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages.

    Args:
        files: those of the folder docs/.
        config: mkdocs' own.
    """
    root = Path(config["config_file_path"]).parent
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_as_page((root / name).read_text())))
    return files


def _as_page(text: str) -> str:
    """Return the text of a file of the repository with links as pages have them."""
    return _LINK.sub(_link, text)


def _link(match: re.Match[str]) -> str:
    mark, label, target = match.groups()
    if re.match(r"[a-z]+:|#", target):
        return match[0]
    if target in PAGES:
        return f"{mark}[{label}]({PAGES[target]})"
    if target.startswith("docs/"):
        return f"{mark}[{label}]({target.removeprefix('docs/')})"
    # A file that no page shows: its name stays.
    return label
