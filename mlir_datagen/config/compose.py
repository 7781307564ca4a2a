"""Composing a config with Hydra, and turning what Hydra and OmegaConf say into messages for people."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlir_datagen.config.run import RunConfig, check_schema_version, parse_config
from mlir_datagen.errors import UserError, listed, nearest

CONFIG_NAME = "generate"
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)

# A dataset's folder holds its config; Hydra's own records of a run would be clutter in the working folder.
_WITHOUT_HYDRA_FILES = {
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
    # The one file that a sweep insists on (multirun.yaml) says nothing that the datasets' own configs do not.
    "hydra.sweep.dir": f"{tempfile.gettempdir()}/mlir_datagen_sweeps_{os.getuid()}",
    "hydra.sweep.subdir": ".",
    "hydra/job_logging": "disabled",
    "hydra/hydra_logging": "disabled",
}


def config_directory() -> Path:
    """Return the folder with the composable configs: of the checkout, or of the installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def compose_config(overrides: Sequence[str]) -> RunConfig:
    """Compose the primary config with overrides as on the command line.

    Raises:
        UserError: when Hydra or a check refuses it.
    """
    with _hydra_errors_for_people(), _own_hydra():
        cfg = compose(CONFIG_NAME, overrides=list(overrides))
    return from_omegaconf(cfg)


def from_omegaconf(cfg: DictConfig) -> RunConfig:
    """Resolve and check a composed config."""
    with _hydra_errors_for_people():
        raw = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(raw, dict)
    # The grids hold the dimensions by now; a saved config has no `dims` of its own.
    raw.pop("dims", None)
    return parse_config({str(key): value for key, value in raw.items()})


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with which Hydra is started: those given, and settings that keep it from writing files.

    They are given here and not in the primary config, since a saved config takes that one's place.

    Raises:
        UserError: when a saved config is named that is more than data.
    """
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--config-dir", "-cd")
    options.add_argument("--config-name", "-cn")
    options.add_argument("--config-path", "-cp")
    named, _ = options.parse_known_args(arguments)
    folder = named.config_dir or named.config_path
    if folder is not None and named.config_name is not None:
        refuse_active_config(Path(folder) / f"{named.config_name.removesuffix('.yaml')}.yaml")
    given = {argument.split("=")[0] for argument in arguments}
    return [*arguments, *(f"{key}={value}" for key, value in _WITHOUT_HYDRA_FILES.items() if key not in given)]


def load_saved_config(path: Path) -> RunConfig:
    """Read a dataset's config.yaml as data alone: no interpolation, no instantiation, no import.

    Raises:
        UserError: when it is missing, is no YAML mapping, or does not pass the checks of `parse_config`.
    """
    return parse_config(_read_saved(path))


def refuse_active_config(path: Path) -> None:
    """Refuse a saved config that would have Hydra do more than read values, before Hydra sees it.

    Hydra instantiates what `hydra.launcher`, `hydra.callbacks` and logging sections name, and a defaults list or a
    package directive can bring such sections in.

    Raises:
        UserError: when the file has a key that is not one of this package's own, or directives in its head.
    """
    raw = _read_saved(path)
    directive = next(
        (line for line in path.read_text().splitlines() if line.lstrip("# \t").startswith("@package")), None
    )
    if directive is not None:
        raise UserError(f"{path} has the directive {directive!r}, which a saved config has not; it is not loaded.")
    if "${" in path.read_text():
        raise UserError(f"{path} has interpolations (${{…}}), which a saved config has not; it is not loaded.")
    parse_config(raw)


def _read_saved(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"There is no saved config at {path}. Name a dataset's folder: it has a config.yaml.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable YAML file: {' '.join(str(error).split())}.") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a saved config: it must be a mapping of keys to values.")
    check_schema_version(raw.get("schema_version"))
    return raw


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Use Hydra within a program that may itself be a Hydra application."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


@contextmanager
def _hydra_errors_for_people() -> Iterator[None]:
    try:
        yield
    except CONFIG_ERRORS as error:
        raise explain(error) from error


def explain(error: Exception) -> UserError:
    """Turn an exception of Hydra or OmegaConf into a paragraph that says what to type instead."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))
        return UserError(
            f'There is no "{option}" in the group {group}.{nearest(option, options)} It has {listed(options)}. '
            f"Type for instance {group}={_group_example(group, options)}."
        )
    if isinstance(error, OverrideParseException):
        return UserError(
            f"The setting {error.override!r} cannot be read: {_first_line(error)} A setting has the form key=value, "
            "such as num_samples=500 or 'ops=[matmul,conv2d]'."
        )
    key = _unknown_key(error)
    if key is not None:
        known = known_keys()
        top = key.split(".")[0]
        if key in ("ops", "dims", "experiment"):
            return UserError(
                f"{key} cannot be chosen here: a saved config has its groups composed already. Change single values "
                f"(seed=…, num_samples=…), or run without --config-dir to choose {key}."
            )
        if top == "dims" and key not in known:
            known = [name for name in known if name.startswith("dims.")]
        return UserError(
            f'There is no key "{key}" in the config.{nearest(key, known)} '
            f"The keys are {listed(name for name in known if '.' not in name)}; conf/generate.yaml explains them."
        )
    return UserError(f"The config cannot be composed: {_first_line(error)}")


def known_keys() -> list[str]:
    """Return every key and group of the default config, dotted."""
    with _own_hydra():
        cfg = compose(CONFIG_NAME)
    keys = ["experiment"]

    def visit(node: Any, prefix: str) -> None:
        for key in node if isinstance(node, dict) else ():
            keys.append(f"{prefix}{key}")
            visit(node[key], f"{prefix}{key}.")

    visit(OmegaConf.to_container(cfg, resolve=False), "")
    return keys


def _group_example(group: str, options: Sequence[str]) -> str:
    return f"'[{options[0]}]'" if group == "ops" else options[0] if options else "…"


def _unknown_key(error: Exception) -> str | None:
    """Return the key that an override named and the config lacks, from Hydra's message about it."""
    prefix = "Could not override '"
    message = str(error)
    if isinstance(error, ConfigCompositionException) and message.startswith(prefix):
        return message[len(prefix) :].split("'")[0]
    return None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
