"""Putting the page together: its parts lie in `page/`, its libraries come from the wheels of plotly and itables."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation.facts import Facts, dataset_facts
from mlir_datagen.presentation.report.shared import shared_programs
from mlir_datagen.presentation.report.summary import summary
from mlir_datagen.presentation.report.table import table_columns
from mlir_datagen.presentation.report.texts import program_chunks

REPORT = "report.html"
"""Where a dataset's own is in its folder."""
MOST_DATASETS = 2
_TEXTS_BYTES = 7_500_000
"""What the programs' texts and details may take of a page, all datasets together, so that it stays under 15 MB."""

_STYLES = ("base", "controls", "table", "program")
_SCRIPTS = (
    "elements", "data", "theme", "dimensions", "filters", "table", "binning", "figures", "distributions", "highlight",
    "graph", "details", "program", "start",
)  # fmt: skip
"""The page's own scripts in order: each uses those before it, and what these define when it runs."""

_EXPORTED = re.compile(r"export\{([^{}]*)\};")


def report_page(datasets: Sequence[Dataset], facts: Sequence[Facts] | None = None) -> bytes:
    """Return the page of one dataset, or of two side by side. The same datasets give the same bytes.

    Args:
        datasets: one or two.
        facts: of each, where they are known already.

    Raises:
        UserError: when a dataset cannot be read.
    """
    if not 1 <= len(datasets) <= MOST_DATASETS:
        raise ValueError(f"a report is of one or two datasets, not of {len(datasets)}")
    facts = [dataset_facts(dataset) for dataset in datasets] if facts is None else facts
    shared = shared_programs(*datasets) if len(datasets) > 1 else None
    tables, blocks = [], []
    for number, (dataset, known) in enumerate(zip(datasets, facts, strict=True)):
        places, chunks = program_chunks(dataset, known, _TEXTS_BYTES // len(datasets))
        tables.append(table_columns(known, places))
        blocks += [_data(f"programs-{number}-{place}", chunk) for place, chunk in enumerate(chunks)]
    blocks.append(_data("datasets", _packed(orjson.dumps(tables))))
    plotly, tables_library = _plotly(), _tables()
    blocks += [_data("plotly", _packed(plotly.encode())), _data("tables", _packed(tables_library.encode()))]
    script = _own_script()
    return _filled(
        _part("page.html"),
        {
            "policy": _policy([script, plotly, tables_library]),
            "title": html.escape(" and ".join(known.name for known in facts)),
            "style": "\n".join(_part(f"{name}.css") for name in _STYLES),
            "summary": summary(facts, shared),
            "data": "\n".join(blocks),
            "script": script,
        },
    ).encode()


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a template with its `{{ names }}` filled in; what is filled in is not looked at again."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: parts[match[1]], template)


def _policy(scripts: Sequence[str]) -> str:
    """Return a content security policy that lets these scripts run, and no other, and nothing be loaded."""
    allowed = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, compresslevel=6, mtime=0)).decode()


def _data(name: str, content: str) -> str:
    # Not a script to the browser, as it has another type; in Base 64 there is nothing that could end it.
    return f'<script type="application/octet-stream" id="data-{name}">{content}</script>'


def _part(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")


def _own_script() -> str:
    """Return the page's own scripts as one, with a scope of their own."""
    return "(() => {\n" + "\n".join(_part(f"{name}.js") for name in _SCRIPTS) + "\n})();"


def _library(package: str, path: str) -> str:
    """Return a file of a package's wheel, without importing the package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(path).read_text("utf-8")


@cache
def _plotly() -> str:
    return _library("plotly", "package_data/plotly.min.js")


@cache
def _tables() -> str:
    """Return DataTables as a script that defines `DataTable`: itables has a module, which a page cannot inline."""
    module = _library("itables", "html/dt_bundle.js")
    exported = _EXPORTED.search(module)
    names: dict[str, Any] = {}
    if exported is not None:
        names = {new: old for old, _, new in (pair.partition(" as ") for pair in exported[1].split(","))}
    if exported is None or "default" not in names:
        raise RuntimeError("the module of DataTables in itables has no default export: another version is needed")
    body = f"{module[: exported.start()]}globalThis.DataTable = {names['default']};{module[exported.end() :]}"
    return f'(() => {{ "use strict";\n{body}\n}})();'
