"""Reading a dataset's config.yaml as data alone, whoever wrote it: no interpolation, no instantiation, no import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from mlir_datagen import foreign
from mlir_datagen.config.run import RunConfig, parse_config
from mlir_datagen.errors import UserError, said
from mlir_datagen.version import check_schema_version

_MOST_BYTES = 2 << 20
_DEEPEST = 48
_MOST_VALUES = 100_000
"""A thousand times as many as a config has; these take some seconds."""
_MOST_DIGITS = 40
_PLAIN = ("null", "bool", "int", "float")


def load_saved_config(path: Path) -> RunConfig:
    """Read and check a saved config.

    Raises:
        UserError: when it is missing, no YAML mapping of plain values, or does not pass the checks of `parse_config`.
    """
    try:
        text = foreign.read_text(path, _MOST_BYTES)
        raw = yaml.load(text, _PlainLoader)  # noqa: S506  (a SafeLoader)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"There is no saved config at {path}. Name a dataset's folder: it has a config.yaml.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a readable YAML file of plain values: {said(error)}. A dataset's folder has its config as "
            "scripts/generate.py wrote it; make the dataset again from the settings that it is of."
        ) from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a saved config: it must be a mapping of keys to values.")
    check_schema_version(raw.get("schema_version"))
    if raw.get("executor") is not None:
        # It may name the scheduler of a stranger, who then has the run unpickle what he likes.
        raise UserError(
            f"{path} has the key executor, which no dataset's config has: what made it is not part of it. Remove the "
            "key; the run may choose one (executor.kind=serial, executor.workers=2)."
        )
    return parse_config(raw)


class _PlainLoader(yaml.SafeLoader):
    """What JSON has, and nothing else of YAML: no aliases, tags, dates, sets; no key twice, and none but text.

    An alias makes a value of any size from a few bytes. Where a saved config has them, somebody else wrote them.
    """

    _depth = 0
    _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _problem("an alias (*name) is not allowed", event)
        if event.anchor is not None:
            raise _problem("an anchor (&name) is not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise _problem("a tag (!name) is not allowed", event)
        if self._depth == _DEEPEST:
            raise _problem(f"values are nested more than {_DEEPEST} deep", event)
        if self._values == _MOST_VALUES:
            raise _problem(f"there are more than {_MOST_VALUES} values", event)
        self._values += 1
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set[str]()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _problem("a key must be text", key)
            if key.value in keys:
                raise _problem(f"the key {said(key.value)!r} stands there twice", key)
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MOST_DIGITS or not re.fullmatch(r"[-+]?[0-9]+", node.value):
            raise _problem(f"a whole number must have decimal digits, {_MOST_DIGITS} at most", node)
        return int(node.value)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def _problem(text: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=where.start_mark)
