"""The page with every setting."""

from __future__ import annotations

import re

import pytest
from helpers import REPOSITORY
from omegaconf import OmegaConf

from mlir_datagen.config import settings_page
from mlir_datagen.config.compose import compose_config, known_keys
from mlir_datagen.config.folder import config_directory
from mlir_datagen.ops import FAMILIES

PAGE = REPOSITORY / "docs" / "configuration.md"


def settings():
    """Return the settings that the page has a row for."""
    return set(re.findall(r"^\| `([\w.<>]+)` \|", PAGE.read_text(), re.MULTILINE))


def test_the_page_is_current():
    made = settings_page.settings_page()
    assert PAGE.read_text() == made, "write it again: python scripts/list_settings.py > docs/configuration.md"


def test_it_has_every_setting_there_is():
    rows = settings()
    groups = {path.name for path in config_directory().iterdir() if path.is_dir()}
    lacking = {key for key in known_keys() if not key.startswith("ops.") and key not in rows | groups}
    assert lacking == set()


@pytest.mark.parametrize("group", ["check", "measure", "form", "strata", "converter", "extract", "export", "executor"])
def test_it_has_every_setting_of_every_file(group):
    for path in (config_directory() / group).glob("*.yaml"):
        for key in OmegaConf.to_container(OmegaConf.load(path)):
            assert f"{group}.{key}" in settings()


def test_it_has_every_op_and_every_dimension_of_its_grid():
    ops = compose_config(["ops=[all]"]).ops
    page = PAGE.read_text()
    for name, op in ops.items():
        if name in FAMILIES:
            (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
            assert all(f"`{axis}`" in row for axis in op.grid)
        else:
            saved = op.to_saved()
            assert {f"ops.{name}.{key}" for key in saved} <= settings()
            assert {f"ops.{name}.grid.{axis}" for axis in saved["grid"]} <= settings()


@pytest.mark.parametrize("group", ["models", "suites", "experiment", "ops", "dims"])
def test_it_names_every_file(group):
    page = PAGE.read_text()
    assert all(f"{path.stem}" in page for path in (config_directory() / group).glob("*.yaml"))


def test_a_setting_of_which_nothing_says_what_it_may_be_is_no_row():
    with pytest.raises(LookupError, match=r"limits\.colour"):
        settings_page._type("limits.colour")
