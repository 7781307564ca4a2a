"""The settings of a command line, before Hydra reads them: what it takes in another way than a person means it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from mlir_datagen.config.executor import EXECUTOR_KEYS
from mlir_datagen.errors import UserError, said, shown

GROUPS = (
    "ops",
    "dims",
    "models",
    "converter",
    "extract",
    "suites",
    "check",
    "measure",
    "form",
    "strata",
    "export",
    "executor",
    "experiment",
)
LISTS = ("ops", "models", "suites")
"""The groups of which a run chooses any number."""

FIRST = re.compile(r"[~+\w./@:-]+=|~")
"""What the first setting of a command line begins with, and no option."""

_SETTING = re.compile(r"([~+]*[^=~+\s][^=]*)=(.*)", re.DOTALL)
# Settings that are taken as a whole: OmegaConf would merge mappings, and refuses a list in the place of a mapping.
_WHOLE = re.compile(r"(dims\.\w+|ops\.\w+\.grid\.\w+|splits|split_ratios)=(.*)", re.DOTALL)
# Settings that go with one executor, of which others say so: Hydra would only say that they have no such key.
_EXECUTOR = re.compile(r"executor\.(\w+)=.*", re.DOTALL)
_FOLDER = re.compile(r"\+{0,2}output_dir")
_GRAMMAR = frozenset("'\"[]{}(),")

Unknown = Callable[[str, str], UserError]
"""Returns the message about an option that a group does not have."""


def hydra_overrides(words: Iterable[str], unknown: Unknown) -> list[str]:
    """Return the settings as Hydra takes them.

    Mappings and lists replace what they override, whatever its form; text that Hydra's grammar has no letters for is
    quoted; a group gets nothing but names of its options. Words that are no settings stay as they are.

    Args:
        words: the settings, and what stands between them.
        unknown: what is said of an option that a group does not have.

    Raises:
        UserError: for a setting that cannot be read, or is no choice of its group.
    """
    taken: list[str] = []
    for word in words:
        setting = None if word.startswith("-") else _SETTING.fullmatch(word)
        if setting is None:
            taken.append(word)
            continue
        read = _readable(word, setting[1], setting[2])
        _require_for_hydra(word, read)
        if _is_group(read.key_or_group):
            taken = _with_choice(taken, word, read, unknown)
        elif whole := _WHOLE.fullmatch(word):
            taken += [f"{whole[1]}=null", f"++{whole[1]}={whole[2]}"]
        elif (own := _EXECUTOR.fullmatch(word)) and own[1] in EXECUTOR_KEYS:
            taken.append(f"++{read.input_line}")
        else:
            assert read.input_line is not None
            taken.append(read.input_line)
    return taken


def unreadable(override: str | None, reason: str) -> UserError:
    """Return what is said of a setting that is not of Hydra's grammar."""
    return UserError(
        f"The setting {shown(override)} cannot be read: {said(reason)} A setting has the form key=value, such as "
        "num_samples=500 or 'ops=[matmul,conv2d]'. Text with other characters than letters of ASCII, digits and "
        "_ - . / goes into quotes within the shell's: \"name='…'\", or 'exclude=[\"données/x\"]' in a list."
    )


def _readable(word: str, key: str, value: str) -> Override:
    """Parse a setting: as it is, or, when the grammar lacks its letters and they can only be text, as text."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise unreadable(word, "it has bytes that are no text in this locale; LC_ALL=C.UTF-8 has all.") from None
    try:
        return _parse(word)
    except UserError:
        if not _FOLDER.fullmatch(key) and _GRAMMAR & set(value):
            raise
        return _parse(f"{key}={quoted(value)}")


def _require_for_hydra(word: str, read: Override) -> None:
    """Refuse a setting of Hydra's own that it would stop at with a traceback.

    Raises:
        UserError: for a choice from one of its groups that is no name, or a level of its messages that there is not.
    """
    group, value = read.key_or_group.partition("@")[0], None if read.value_type is None else read.value()
    is_choice = (group == "hydra" or group.startswith("hydra/")) and not read.is_delete()
    if is_choice and not isinstance(value, (str, list, QuotedString, ChoiceSweep)):
        raise UserError(
            f"The setting {shown(word)} chooses nothing: {group} is a group of Hydra's own, and takes a name, such as "
            "hydra/launcher=basic. Leave it out."
        )
    if group == "hydra.verbose" and not isinstance(value, (bool, str, list, QuotedString)):
        raise UserError(f"The setting {shown(word)} is no level of messages: type hydra.verbose=true, or leave it out.")


def _parse(word: str) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deeply."
    except ValueError as error:
        reason = f"{error}."
    raise unreadable(word, reason)


def quoted(value: str) -> str:
    """Return a text in quotes, as the grammar has them: backslashes count only before a quote."""
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (r"\'" if found[2] else ""), value)
    return f"'{escaped}'"


def _typed(value: Any) -> str:
    """Return a value as it is typed, more or less."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else shown(value)


def _is_group(key: str) -> bool:
    group, _, _ = key.partition("@")
    return group in GROUPS or any(group.startswith(f"{name}/") for name in GROUPS)


def _with_choice(taken: Sequence[str], word: str, read: Override, unknown: Unknown) -> list[str]:
    """Return the settings with one more that chooses from a group.

    Hydra takes whatever is no text for a bug of its own, and no null.
    """
    group, word = read.key_or_group, read.input_line or word
    if read.value_type is None:
        return [*taken, word]
    value: Any = read.value()
    if value is None and not read.is_delete():
        if group in LISTS:
            return [*taken, f"{group}=[]"]
        if group == "experiment":
            # No experiment is the default, and whatever was chosen before counts no more.
            return [other for other in taken if not other.startswith("experiment=")]
    choices: list[Any] = value.list if isinstance(value, ChoiceSweep) else [value]
    for choice in choices:
        is_list = group in LISTS and isinstance(choice, list) and not read.is_delete()
        for name in choice if is_list else [choice]:
            name = getattr(name, "text", name)
            if not isinstance(name, str):
                raise unknown(group, _typed(name))
    return [*taken, word]
