"""Composing a config with Hydra, and turning what Hydra and OmegaConf say into messages for people."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from shutil import which
from typing import Any, NoReturn

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlir_datagen.config.folder import config_directory
from mlir_datagen.config.licenses import saved_license
from mlir_datagen.config.op_options import op_option, unknown_op_option
from mlir_datagen.config.overrides import FIRST, GROUPS, LISTS, hydra_overrides, unreadable
from mlir_datagen.config.run import RunConfig, parse_config
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.errors import UserError, listed, nearest, said, shown
from mlir_datagen.networks.catalogue import TORCHVISION_CLASSIFIERS, torchvision_model
from mlir_datagen.ops import FAMILIES

CONFIG_NAME = "generate"
_UNRECOGNIZED = "unrecognized arguments: "
"""How argparse begins when there is no such option."""
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)

_LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm")
"""What starts the jobs of a sweep, by plugins that are an extra."""

# A dataset's folder holds its config; Hydra's own records of a run would be clutter in the working folder.
_WITHOUT_HYDRA_FILES = {
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
    "hydra.sweep.subdir": ".",
    "hydra/job_logging": "disabled",
    "hydra/hydra_logging": "disabled",
}


class _Options(dict[str, Any]):
    """Options of a group, as Hydra's store of configs has them: made when they are asked for, which most are not.

    Args:
        group: the group.
        names: of the options.
        make: returns what a file of an option would say.
    """

    def __init__(self, group: str, names: Iterable[str], make: Callable[[str], dict[str, Any]]) -> None:
        super().__init__(dict.fromkeys(f"{name}.yaml" for name in names))
        self._group, self._make = group, make

    def __getitem__(self, file: str) -> Any:
        if (stored := super().__getitem__(file)) is not None:
            # By a program of its own.
            return stored
        name = file.removesuffix(".yaml")
        package = f"{self._group.partition('/')[0]}.{name}"
        return ConfigNode(file, OmegaConf.create(self._make(name)), self._group, package, provider=None)


def _store(group: str, names: Iterable[str], make: Callable[[str], dict[str, Any]]) -> None:
    """Have options of a group as if conf/ had a file for each, beside those that a program has stored there."""
    *parents, last = group.split("/")
    place = ConfigStore.instance().repo
    for parent in parents:
        place = place.setdefault(parent, {})
    options = _Options(group, names, make)
    options.update(place.get(last, {}))
    place[last] = options


_store("models/torchvision", TORCHVISION_CLASSIFIERS, torchvision_model)
_store(
    "ops",
    [name for name in FAMILIES if not (config_directory() / "ops" / f"{name}.yaml").exists()],
    lambda name: op_option(FAMILIES[name]),
)


def compose_config(overrides: Sequence[str]) -> RunConfig:
    """Compose the primary config with overrides as on the command line.

    Raises:
        UserError: when Hydra or a check refuses it.
    """
    taken = hydra_overrides(overrides, _unknown_option)
    with _hydra_errors_for_people(), _own_hydra():
        cfg = compose(CONFIG_NAME, overrides=taken)
    return from_omegaconf(cfg)


def is_run_alone(words: Sequence[str]) -> bool:
    """Tell whether the words of a command line are the settings of one run, with nothing for Hydra's own command line.

    That is a sweep, an option, or a setting of Hydra's, here or in a config that may be chosen. Hydra itself composes
    a config once more to see it.
    """
    if not all(FIRST.match(word) and not word.startswith("-") for word in words):
        return False
    configs = (path.read_bytes() for path in config_directory().rglob("*.yaml"))
    return not any(b"hydra" in text for text in chain(map(os.fsencode, words), configs))


def from_omegaconf(cfg: DictConfig) -> RunConfig:
    """Resolve and check a composed config."""
    with _hydra_errors_for_people():
        raw = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(raw, dict)
    # The grids hold the dimensions by now; a saved config has no `dims` of its own.
    raw.pop("dims", None)
    return parse_config({str(key): value for key, value in raw.items()})


def command_line(arguments: Sequence[str], scratch: Path) -> list[str]:
    """Return the arguments with which Hydra is started, from those given.

    Settings that keep Hydra from writing files are added here and not in the primary config, since a saved config takes
    that one's place. A saved config is read and checked, and Hydra gets a copy of nothing but its
    values: it would instantiate what a stranger's `hydra:` section, defaults list or neighbouring file names.

    Args:
        arguments: the command line.
        scratch: an empty folder that lasts as long as Hydra runs.

    Raises:
        UserError: when a saved config is not one, or an option would have Hydra read other files.
    """
    given = {argument.split("=")[0] for argument in arguments}
    settings = {**_WITHOUT_HYDRA_FILES, "hydra.sweep.dir": str(scratch / "sweep")}
    if any(argument.startswith("hydra/launcher=submitit") for argument in arguments):
        # Jobs of other machines read there what to do. Hydra's own place is in the working folder.
        del settings["hydra.sweep.dir"]
    if "hydra/launcher=submitit_slurm" in arguments and which("srun") is None:
        raise UserError(
            "hydra/launcher=submitit_slurm starts its jobs with SLURM, and there is no command srun here. Run it where "
            "jobs are submitted, or type hydra/launcher=submitit_local for processes of this machine."
        )
    settings["hydra.job.name"] = CONFIG_NAME  # that of a job of SLURM, too
    own = [f"{key}={value}" for key, value in settings.items() if key not in given]
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--config-dir", "-cd")
    options.add_argument("--config-name", "-cn")
    named, rest = options.parse_known_args(arguments)
    unclear = next((word for word in rest if word.startswith(("--conf", "--exp", "-cp", "-cd", "-cn"))), None)
    if unclear is not None or (named.config_dir is None) != (named.config_name is None):
        raise UserError(
            f"{unclear or 'One of --config-dir and --config-name alone'} is not supported. To run a saved config, "
            "type --config-dir outputs/<dataset> --config-name config. Configs of your own go into conf/, for instance "
            "conf/experiment/mine.yaml for experiment=mine."
        )
    if named.config_dir is not None:
        saved = load_saved_config(Path(named.config_dir) / f"{named.config_name.removesuffix('.yaml')}.yaml")
        # A dataset does not say what made it, and this run may.
        own_settings = {"executor": {"kind": saved.executor.kind, "workers": None}, "shard": None, "report": True}
        later = {"programs_per_file": saved.programs_per_file, "license": saved_license(saved.license)}
        settings_of_run = {**saved.to_saved(), **later, **own_settings}
        (scratch / "saved.yaml").write_text(yaml.safe_dump(settings_of_run, sort_keys=False))
        rest = ["--config-dir", str(scratch), "--config-name", "saved", *rest]
    # Hydra wants all settings in one row, and an option like --info takes the word behind it for its own.
    first = next((place for place, word in enumerate(rest) if FIRST.match(word)), 0)
    words = [*rest[:first], *own, *hydra_overrides(rest[first:], _unknown_option)]
    _require_options(words)
    return words


def _require_options(words: Sequence[str]) -> None:
    """Refuse options that Hydra does not have, which it would answer with a page of all that it has."""
    options = get_args_parser()

    def refuse(message: str) -> NoReturn:
        typed = next((word for word in message.removeprefix(_UNRECOGNIZED).split() if word.startswith("-")), None)
        if not message.startswith(_UNRECOGNIZED):
            raise UserError(f"{message}. --hydra-help lists all options.")
        if typed is None:
            raise UserError(f"{message}. Type the options before all settings.")
        known = sorted({name for action in options._actions for name in action.option_strings})
        raise UserError(
            f"generate has no option {shown(typed)}.{nearest(typed, known)} Settings are typed without dashes, as "
            "report=false; --hydra-help lists all options."
        )

    options.error = refuse  # type: ignore[method-assign]
    options.parse_args(list(words))


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
        group, _, option = str(error.missing_cfg_file).partition("/")
        if group in GROUPS:
            return _unknown_option(group, option)
        if option.startswith("launcher/"):
            return _unknown_launcher(option.removeprefix("launcher/"))
    if isinstance(error, OverrideParseException):
        return unreadable(error.override, _first_line(error))
    if several := re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", str(error)):
        key, value = several.groups()
        return UserError(
            f"{key} has several values, {shown(value)}. Type -m before the settings to make a dataset with each, "
            f"'{key}=[…]' for a list, or \"{key}='…'\" for text that has a comma in it."
        )
    key = _unknown_key(error)
    if key is None:
        return UserError(f"The config cannot be composed: {_first_line(error)}")
    if key in GROUPS:
        return UserError(
            f"{key} cannot be chosen here: a saved config has its groups composed already. Change single values "
            f"(seed=…, num_samples=…), or run without --config-dir to choose {key}."
        )
    group, _, inner = key.partition(".")
    if group in ("models", "suites") and inner:
        chosen = f"'{group}=[{inner.partition('.')[0]}]'"
        return UserError(
            f'There is no key "{key}" in what is chosen. Choose its part first ({chosen}); conf/{group}/ has the keys '
            f"of each. To add one: +{key}=…"
        )
    known = [*known_keys(), "models", "suites"]
    return UserError(
        f'There is no key "{key}" in the config.{nearest(key, set(known) - {key})} '
        f"The keys are {listed(name for name in known if '.' not in name)}; conf/generate.yaml explains them."
    )


def _unknown_option(group: str, option: str) -> UserError:
    if group == "ops":
        return unknown_op_option(option)
    group = group.partition("/")[0]
    options = sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))
    more, addressable = "", options
    if group == "models":
        addressable = [*options, *(f"torchvision/{name}" for name in TORCHVISION_CLASSIFIERS)]
        more = f", and torchvision/<name> for {len(TORCHVISION_CLASSIFIERS)} networks, such as torchvision/densenet121"
    named = f"torchvision/{option}"
    hint = f' Did you mean "{named}"?' if named in addressable else nearest(option, addressable)
    chosen = f"'{group}=[{options[0]}]'" if group in LISTS else f"{group}={options[0]}"
    return UserError(
        f'There is no "{option}" in the group {group}.{hint} It has {listed(options)}{more}. '
        f"Type for instance {chosen}."
    )


def _unknown_launcher(name: str) -> UserError:
    if name in _LAUNCHERS:
        return UserError(
            f"hydra/launcher={name} needs a plugin of Hydra, which is not installed: pip install "
            "'mlir_datagen[sweep]'. Without it, a sweep (-m) makes its datasets one after the other."
        )
    return UserError(
        f'There is no "{said(name)}" in the group hydra/launcher.{nearest(name, _LAUNCHERS)} It has basic, '
        f"{listed(_LAUNCHERS)}. Type for instance hydra/launcher=joblib."
    )


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


def _unknown_key(error: Exception) -> str | None:
    """Return the key that an override named and the config lacks, from Hydra's message about it."""
    named = re.match(r"Could not (?:override|delete from config\.) '([^']+)'", str(error))
    return named[1] if isinstance(error, ConfigCompositionException) and named else None


def _first_line(error: Exception) -> str:
    return said(next((line for line in str(error).splitlines() if line.strip()), type(error).__name__))
