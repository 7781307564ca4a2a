"""The licence and the citation: what they say, and that they agree with the package."""

from __future__ import annotations

import tomllib
from datetime import date

import yaml
from helpers import REPOSITORY

from mlir_datagen.version import GENERATOR_YEAR, PACKAGE_VERSION, RELEASE_DATE


def test_the_licence_is_apache_2_with_llvm_exceptions():
    text = (REPOSITORY / "LICENSE").read_text()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0 WITH LLVM-exception"
    assert project["license-files"] == ["LICENSE"]
    places = [
        text.index(part)
        for part in (
            "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
            "9. Accepting Warranty or Additional Liability.",
            "END OF TERMS AND CONDITIONS",
            "---- LLVM Exceptions to the Apache 2.0 License ----",
            "with the conditions of Sections 4(a), 4(b) and 4(d) of the License.",
            "conflicts with the conditions of the GPLv2",
        )
    ]
    assert places == sorted(places)
    assert "NCSA" not in text


def test_the_citation_agrees_with_the_package():
    """Keys and values are those of the schema 1.2.0 of the Citation File Format."""
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    required = {"authors", "cff-version", "message", "title"}
    known = {"abstract", "date-released", "keywords", "license-url", "type", "version"}
    assert required <= set(citation) <= required | known
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["authors"] == [{"name": "The mlir_datagen authors"}]
    assert citation["version"] == PACKAGE_VERSION
    assert citation["date-released"] == date.fromisoformat(RELEASE_DATE)
    assert citation["license-url"].startswith("https://")
    assert date.fromisoformat(RELEASE_DATE).year >= GENERATOR_YEAR
