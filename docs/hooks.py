"""Pages of the site that are files of the repository, and links between pages by their titles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_BY_FILE = re.compile(r"\[(?:docs/)?[\w/]+\.md\]\((?P<file>\w+\.md)(?P<part>#[\w-]+)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages.

    Args:
        files: those of the folder docs/.
        config: mkdocs' own.
    """
    root = Path(config["config_file_path"]).parent
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_LINK.sub(_link, (root / name).read_text())))
    return files


def _link(match: re.Match[str]) -> str:
    """Return a link of the repository as pages have it."""
    mark, label, target = match.groups()
    if re.match(r"[a-z]+:|#", target):
        return match[0]
    if target in PAGES:
        return f"{mark}[{label}]({PAGES[target]})"
    if target.startswith("docs/"):
        return f"{mark}[{label}]({target.removeprefix('docs/')})"
    # A file that no page shows: its name stays.
    return label


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Have links that are called by a file called by its page's title.

    Args:
        markdown: the page's text.
        page: the page.
        config: mkdocs' own.
        files: all files.
    """

    def titled(match: re.Match[str]) -> str:
        file = files.get_file_from_path(match["file"])
        heading = re.match(r"# (.*)", file.content_string) if file is not None else None
        return f"[{heading[1]}]({match['file']}{match['part'] or ''})" if heading else match[0]

    return _BY_FILE.sub(titled, markdown)
