"""Completing the settings of `generate`: names of conf/generate.yaml, and what each group of conf/ has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from click.shell_completion import CompletionItem

from mlir_datagen.config.folder import config_directory
from mlir_datagen.ops import PROGRAM_FAMILIES

_PRIMARY = "generate.yaml"
_SETTING = re.compile(r"^(\w+):[^#\n]*(?:# *(.*))?$", re.MULTILINE)
_GROUP = re.compile(r"^  - (\w+): ([^#\n]*?) *(?:# *(.*))?$", re.MULTILINE)
_OPTIONS = {
    "-m": "a dataset with each of several values",
    "--multirun": "a dataset with each of several values",
    "--cfg": "print the settings and make nothing: --cfg job",
    "--config-dir": "the folder of a saved config, such as outputs/<dataset>",
    "--config-name": "the name of a saved config: config",
    "--info": "how the settings were put together",
    "--hydra-help": "all options of Hydra",
    "--help": "what this command does",
}
_OPTION_VALUES = {"--cfg": ("job", "hydra", "all"), "--config-name": ("config",)}


def complete(words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Return what a word may become.

    Args:
        words: those before it. Bash takes `=` for a word of its own.
        incomplete: its beginning.
    """
    before = words[-1] if words else ""
    if before == "--config-dir":
        return [CompletionItem(incomplete, type="dir")]
    if before in _OPTION_VALUES:
        return [CompletionItem(value) for value in _OPTION_VALUES[before] if value.startswith(incomplete)]
    if incomplete.startswith("-"):
        return [CompletionItem(name, help=text) for name, text in _OPTIONS.items() if name.startswith(incomplete)]
    primary = (config_directory() / _PRIMARY).read_text()
    groups = {name: default for name, default, _ in _GROUP.findall(primary)}
    if before == "=" and len(words) > 1:
        return list(_values(words[-2], groups, incomplete))
    if before in groups:
        return list(_values(before, groups, incomplete))
    name, equals, value = incomplete.partition("=")
    if equals:
        return [CompletionItem(f"{name}={each.value}") for each in _values(name, groups, value)]
    settings = {**{name: text for name, _, text in _GROUP.findall(primary)}, **dict(_SETTING.findall(primary))}
    del settings["defaults"], settings["schema_version"]
    return [CompletionItem(f"{each}=", help=text) for each, text in settings.items() if each.startswith(incomplete)]


def _values(name: str, groups: dict[str, str], beginning: str) -> Iterator[CompletionItem]:
    """Yield what a group may be set to; in a list, only the last one is completed."""
    if name not in groups:
        return
    options = sorted(path.stem for path in (config_directory() / name).glob("*.yaml"))
    if name == "ops":
        options = sorted({*options, *PROGRAM_FAMILIES})
    is_list = groups[name].startswith("[")
    listed, last = "", beginning
    if is_list:
        place = max(beginning.rfind("["), beginning.rfind(",")) + 1
        listed, last = beginning[:place] or "[", beginning[place:]
    for option in options:
        if option.startswith(last):
            yield CompletionItem(f"{listed}{option}")
