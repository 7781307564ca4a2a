"""Checks of single config values; each raises a `UserError` that names the key and what may stand there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from mlir_datagen.errors import UserError, listed, nearest, said, shown

Choice = TypeVar("Choice")
_LARGEST_NUMBER = 1e18
"""Of numbers with a fraction: two of them multiplied are still finite."""
LARGEST = (1 << 63) - 1
"""The largest whole number that a config may have anywhere: what fits into 64 bits, as in the index."""


def check_keys(raw: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Refuse keys that are not allowed, and name the nearest one that is."""
    allowed = list(allowed)
    for key in raw:
        if key not in allowed:
            word = said(key) if isinstance(key, str) else shown(key)
            raise UserError(
                f'There is no key "{word}" in {where}.{nearest(word, allowed)} The keys there are {listed(allowed)}.'
            )


def mapping(value: Any, key: str, example: str | None = None) -> Mapping[str, Any]:
    """Return the value when it is a mapping with text keys."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        hint = f" Type for instance {example}." if example else ""
        raise UserError(f"{key} is {shown(value)}, and must be a mapping from names to values.{hint}")
    return value


def whole_number(value: Any, key: str, minimum: int, example: str, maximum: int = LARGEST) -> int:
    """Return the value when it is a whole number within the bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise UserError(f"{key} is {shown(value)}, and must be a whole number of at least {minimum}. Type {example}.")
    if value > maximum:
        raise UserError(f"{key} is {shown(value)}, and must be at most {maximum}. Type {example}.")
    return value


def processor_seconds(value: Any, key: str) -> int:
    """Return the value when it is a limit on processor time that the operating system takes."""
    return whole_number(value, key, minimum=1, maximum=10**8, example=f"{key}=600")


def memory_bytes(value: Any, key: str) -> int:
    """Return the value when it is a limit on memory that the operating system takes."""
    return whole_number(value, key, minimum=1 << 20, maximum=1 << 60, example=f"{key}=17179869184")


def positive_number(value: Any, key: str, example: str) -> float:
    """Return the value when it is a number above 0."""
    # Neither NaN nor an integer that no float holds is between them.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= _LARGEST_NUMBER:
        raise UserError(
            f"{key} is {shown(value)}, and must be a number above 0, {_LARGEST_NUMBER:.0e} at most. Type {example}."
        )
    return float(value)


def choice(value: Any, key: str, allowed: tuple[Choice, ...], example: str = "{}") -> Choice:
    """Return the value when it is one of those allowed; the example has a place for one."""
    for candidate in allowed:
        if type(value) is type(candidate) and value == candidate:
            return candidate
    word = value if isinstance(value, str) else shown(value)
    words = [str(candidate).lower() if isinstance(candidate, bool) else str(candidate) for candidate in allowed]
    raise UserError(
        f"{key} is {shown(value)}, and must be one of {listed(words)}.{nearest(word, words)} "
        f"Type for instance {key}={example.format(words[0])}."
    )


def some_of(value: Any, key: str, allowed: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Return those of the allowed values that a list names, in the order of `allowed`."""
    if not isinstance(value, list) or not value:
        raise UserError(
            f"{key} is {shown(value)}, and must be a list of at least one of {listed(map(str, allowed))}. "
            f"Type for instance '{key}=[{allowed[0]}]'."
        )
    chosen = [choice(element, key, allowed, "[{}]") for element in value]
    return tuple(candidate for candidate in allowed if candidate in chosen)
