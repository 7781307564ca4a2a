"""The page with every setting there is, from conf/ and the typed settings: docs/configuration.md."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mlir_datagen.config.executor import KINDS, ExecutorSettings, SlurmSettings
from mlir_datagen.config.export import ExportSettings, TimeBounds
from mlir_datagen.config.folder import config_directory
from mlir_datagen.config.op_options import op_option, selections
from mlir_datagen.config.proving import MEASURES
from mlir_datagen.config.run import EXHAUSTION_POLICIES, STORAGES, RunConfig
from mlir_datagen.config.splits import CONSUMERS
from mlir_datagen.errors import listed
from mlir_datagen.networks.model_spec import AUTO, CONVERTERS, WEIGHTS, ConverterSettings
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.programs.proof import LEVELS
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits
from mlir_datagen.sources.settings import ExtractSettings
from mlir_datagen.sources.walk import Limits

_TYPED: Mapping[str, tuple[type, ...]] = {
    "": (RunConfig,),
    "limits": (Limits,),
    "sandbox": (SandboxLimits,),
    "check": (CheckSettings,),
    "measure": (MeasureSettings,),
    "converter": (ConverterSettings,),
    "extract": (ExtractSettings,),
    "export": (ExportSettings, TimeBounds),
    "executor": (ExecutorSettings, SlurmSettings),
}
"""By the part of the config, what its values become."""

_CHOICES: Mapping[str, Sequence[str]] = {
    "check.level": LEVELS,
    "measure.kind": MEASURES,
    "converter.kind": (*CONVERTERS, AUTO),
    "converter.weights": WEIGHTS,
    "export.consumer": CONSUMERS,
    "executor.kind": KINDS,
    "on_exhausted": EXHAUSTION_POLICIES,
    "storage": STORAGES,
}
"""The words that a setting may be."""

_SAID = {
    "schema_version": "whole number",
    "num_samples": "whole number, or null",
    "splits": "mapping of names to whole numbers, or null",
    "split_ratios": "mapping of names to whole numbers, or null",
    "exclude": "list of folders and names",
    "license": "word, or list of words",
    "merge": "list of folders",
    "output_dir": "path of a folder",
    "shard": "text such as 3/16, or null",
    "limits": "mapping",
    "sandbox": "mapping",
    "strata.seconds": "list of numbers, or null",
    "strata.shares": "list of numbers, or null",
    "executor.arguments": "mapping",
}
"""What is typed where that is not what it becomes."""

_GROUPS = ("check", "measure", "form", "strata", "converter", "extract", "export", "executor")
"""The groups whose files have the same keys, of which one is chosen; `dims`, `ops`, … are described in other ways."""


class _Setting(NamedTuple):
    """A line of a config: its key, dotted, its value as it stands there, and its comment."""

    key: str
    value: str
    comment: str


def settings_page() -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Configuration\n"
    yield "Written by `python scripts/list_settings.py`, from the files in `conf/` and the types that their values"
    yield "become. A setting is typed as `key=value` behind `python scripts/generate.py`, and a part of one as"
    yield "`key.part=value`. A group is a choice of files: `check=execute` takes all that `conf/check/execute.yaml`"
    yield "says, and `check=execute check.fraction=0.1` changes one value of it. Lists and mappings are quoted for the"
    yield "shell: `'ops=[matmul,conv2d]'`.\n"
    yield from _primary()
    for group in _GROUPS:
        yield from _group(group)
    yield from _dims()
    yield from _ops()
    yield from _named("models", "## `models`: networks", _model_row, ("network", "class", "sizes", "what it is"))
    yield "A file has the keys `class`, `config`, `arguments`, `sizes` and `inputs`; `models.<name>.sizes.<size>` and"
    yield "`models.<name>.arguments.<argument>` change a value of it. `'models=[torchvision/<name>]'` takes any of the"
    yield "classification networks of torchvision.\n"
    yield from _named(
        "suites", "## `suites`: fixed lists to evaluate on", _suite_row, ("suite", "version", "what it is")
    )
    yield "A file has the keys `version` and `digest`, and either `programs`, or `models`, `converter`, `window` and"
    yield "`stride`.\n"
    yield from _named("experiment", "## `experiment`: named datasets", _experiment_row, ("experiment", "what it is"))


def _primary() -> Iterator[str]:
    """Say all that conf/generate.yaml says, apart from its choice of groups."""
    path = config_directory() / "generate.yaml"
    settings = [one for one in _settings(path) if not one.key.startswith("defaults")]
    chosen = {}
    for default in yaml.safe_load(path.read_text())["defaults"]:
        if isinstance(default, dict):
            chosen.update(default)
    yield "## Settings of every run\n"
    yield from _table(settings)
    yield "## What is chosen\n"
    yield "| group | default | files |\n| --- | --- | --- |"
    for group, option in chosen.items():
        names = sorted(file.stem for file in (config_directory() / group).glob("*.yaml"))
        shown = f"`[{', '.join(option)}]`" if isinstance(option, list) else f"`{'null' if option is None else option}`"
        yield f"| `{group}` | {shown} | {_listed(names)} |"
    yield ""


def _group(group: str) -> Iterator[str]:
    """Say what the files of a group are, and what each gives its settings."""
    files = {path.stem: path for path in sorted((config_directory() / group).glob("*.yaml"))}
    stated = {name: {one.key: one for one in _settings(path, f"{group}.")} for name, path in files.items()}
    yield f"## `{group}`\n"
    for name, path in files.items():
        yield f"- `{group}={name}`: {_heading(path)}"
    names = " | ".join(f"`{name}`" for name in files)
    yield f"\n| setting | type | {names} | |\n| --- | --- |{' --- |' * (len(files) + 1)}"
    for key in dict.fromkeys(key for each in stated.values() for key in each):
        found = [each.get(key) for each in stated.values()]
        cells = " | ".join("" if one is None else _code(one.value) for one in found)
        comment = max((one.comment for one in found if one is not None), key=len)
        yield f"| `{key}` | {_type(key)} | {cells} | {_cell(comment)} |"
    yield ""


def _table(settings: Sequence[_Setting]) -> Iterator[str]:
    yield "| setting | type | default | |\n| --- | --- | --- | --- |"
    for key, value, comment in settings:
        yield f"| `{key}` | {_type(key)} | {_code(value)} | {_cell(comment)} |"
    yield ""


def _dims() -> Iterator[str]:
    """Say which values each option gives each dimension."""
    files = {path.stem: path for path in sorted((config_directory() / "dims").glob("*.yaml"))}
    values = {name: {one.key: one.value for one in _settings(path)} for name, path in files.items()}
    yield "## `dims`: the values of dimensions\n"
    for name, path in files.items():
        yield f"`dims={name}`: {_heading(path)}\n"
    yield "`dims.<dimension>=` takes a list, or a range such as `{from: 16, to: 512, step: 16}`.\n"
    yield f"| setting | {' | '.join(f'`dims={name}`' for name in files)} |\n| --- |{' --- |' * len(files)}"
    for dimension in values["default"]:
        cells = " | ".join(f"`{values[name][dimension]}`" for name in files)
        yield f"| `dims.{dimension}` | {cells} |"
    yield ""


def _ops() -> Iterator[str]:
    """Say what each op takes."""
    yield "## `ops`: what random programs are made of\n"
    yield "| setting | type | default | |\n| --- | --- | --- | --- |"
    yield "| `ops.<op>.weight` | number | `1` | the op's share among those that are chosen |"
    yield "| `ops.<op>.kinds` | list of words | see below | the kinds of programs, in equal shares |"
    yield "| `ops.<op>.ranks` | list of whole numbers | see below | of how many dimensions the tensors are |"
    yield "| `ops.<op>.dtypes` | list of words | `[f32]` | element types, in equal shares: [ops.md](ops.md) |"
    yield "| `ops.<op>.grid.<dimension>` | list, range, or `{same_as: <dimension>}` | of `dims` | its values |"
    yield "\nThese choose several ops at once:\n"
    yield "| selection | |\n| --- | --- |"
    for name in selections():
        yield f"| `'ops=[{name}]'` | {_heading(config_directory() / 'ops' / f'{name}.yaml')} |"
    yield "\nThe ops of one operation each, with the dimensions of their grids:\n"
    yield "| op | kinds | ranks | dimensions |\n| --- | --- | --- | --- |"
    for name, family in FAMILIES.items():
        option = op_option(family)
        path = config_directory() / "ops" / f"{name}.yaml"
        stated = yaml.safe_load(path.read_text()) if path.exists() else option
        kinds, ranks = _listed(stated.get("kinds", ())), ", ".join(map(str, stated.get("ranks", ())))
        yield f"| `{name}` | {kinds} | {ranks} | {_listed(option['grid'])} |"
    yield "\nThose that draw graphs:\n"
    for name in DRAWN_FAMILIES:
        path = config_directory() / "ops" / f"{name}.yaml"
        yield f"`'ops=[{name}]'`\n"
        yield "| setting | default | |\n| --- | --- | --- |"
        for key, value, comment in _settings(path, f"ops.{name}."):
            yield f"| `{key}` | {_code(value)} | {_cell(comment)} |"
        yield ""


def _named(group: str, heading: str, row: Any, columns: Sequence[str]) -> Iterator[str]:
    """Say what the files of a group are, a line each."""
    yield f"{heading}\n"
    yield f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}"
    for path in sorted((config_directory() / group).glob("*.yaml")):
        yield f"| {' | '.join(row(path))} |"
    yield ""


def _model_row(path: Path) -> list[str]:
    stated = yaml.safe_load(path.read_text())
    sizes = ", ".join(f"`{name}` {size}" for name, size in stated["sizes"].items())
    return [f"`{path.stem}`", f"`{stated['class']}`", sizes, _heading(path)]


def _suite_row(path: Path) -> list[str]:
    return [f"`{path.stem}`", str(yaml.safe_load(path.read_text())["version"]), _heading(path)]


def _experiment_row(path: Path) -> list[str]:
    return [f"`experiment={path.stem}`", _heading(path)]


def _settings(path: Path, prefix: str = "") -> list[_Setting]:
    """Return the settings that a file has, in order; a list over several lines stands on one."""
    found: list[_Setting] = []
    parents: list[tuple[int, str]] = []
    for line in path.read_text().splitlines():
        item = re.match(r" *- (.*?)(?: +# (.*))?$", line)
        if item is not None and found:
            key, value, comment = found[-1]
            found[-1] = _Setting(key, f"{value[:-1]}, {item[1]}]" if value else f"[{item[1]}]", comment)
        match = re.match(r"( *)([A-Za-z_]\w*):(?: +(?!#)(.*?))?(?: +# (.*))?$", line)
        if match is None:
            continue
        indent, name, value, comment = match.groups()
        parents = [parent for parent in parents if parent[0] < len(indent)]
        key = ".".join([*(parent for _, parent in parents), name])
        parents.append((len(indent), name))
        found.append(_Setting(f"{prefix}{key}", value or "", comment or ""))
    return found


def _heading(path: Path) -> str:
    """Return what a file says of itself, in its first comments: not the package, and no command."""
    said = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if not text.startswith(("@package", "python scripts/")):
            said.append(text)
    return _cell(re.sub(r"^'ops=\[\w+\]': ", "", " ".join(said)))


def _type(key: str) -> str:
    """Return what may be typed for a setting, in words."""
    if key in _CHOICES:
        return f"one of {_listed(_CHOICES[key])}"
    if key in _SAID:
        return _SAID[key]
    part, _, name = key.rpartition(".")
    if part == "form":
        return "whole number"
    if part == "executor.arguments":
        return "what the class takes"
    for typed in _TYPED[part]:
        hints = typing.get_type_hints(typed)
        if name in hints:
            return _word(hints[name])
    raise LookupError(f"nothing says what {key} may be")


_WORDS = {bool: "true or false", int: "whole number", float: "number", Fraction: "number", str: "text", Path: "path"}


def _word(hint: Any) -> str:
    if hint in _WORDS:
        return _WORDS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return listed([_word(one) for one in arguments if one is not type(None)]) + ", or null"
    if origin is tuple:
        return f"list of {'words' if arguments[0] is str else _word(arguments[0]) + 's'}"
    raise LookupError(f"there is no word for {hint}")


def _listed(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
