"""Calling handlers, ours and users': what they return is held to PyTorch's types, what they raise is explained."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType

_LONGEST = 60
"""Characters that are shown of what a handler returned in place of values."""


class Callee(NamedTuple):
    """A handler, and what messages say of it.

    Attributes:
        handler: the function.
        emits: what it emits: `operator aten.relu.default in the module "0" (net.py:3: x.relu())`.
        takes: what it is called with.
        is_users: whether a user registered it, so that what it raises is no bug of ours.
        may_leave_out: whether it may return None for one of several results.
    """

    handler: Callable[..., Any]
    emits: str
    takes: str
    is_users: bool
    may_leave_out: bool = True


def called(callee: Callee, types: Any, arguments: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """Call a handler; return its value, or a tuple of them where there are several types.

    Args:
        callee: the handler.
        types: what `tensors.types_of` gives for the result.
        arguments: of the handler.
        settings: its keyword arguments.

    Raises:
        UserError: when the handler raises it, when it returns something other than values of these types, or when it
            is a user's and raises anything else.
        MemoryError: when there is not enough memory.
    """
    try:
        returned = callee.handler(*arguments, **settings)
    except UserError as error:
        raise UserError(f"The {callee.emits} cannot be converted: {str(error).rstrip('.')}.") from error
    except MemoryError:
        raise
    except Exception as error:
        if not callee.is_users:
            raise
        raise UserError(
            f"The handler of the {callee.emits} raised {type(error).__name__}{_where(error)}: {error}. It is called "
            f"with {callee.takes}."
        ) from error
    return _checked(returned, types, callee)


def _checked(returned: Any, types: Any, callee: Callee) -> Any:
    """Return what a handler returned, if its values have the types that are due."""
    if not _is_several(types):
        fits, values, due = _has_type(returned, types), returned, f"one value of type {types}"
    else:
        values = tuple(returned) if _is_several(returned) else (returned,)
        fits = len(values) == len(types) and any(value is not None for value in values)
        fits = fits and all(
            (value is None and callee.may_leave_out) or _has_type(value, type_)
            for value, type_ in zip(values, types, strict=True)
        )
        due = ", ".join(map(str, types))
    if not fits:
        raise UserError(f"The handler of the {callee.emits} returned {_described(returned)}, and must return {due}.")
    return values


def _is_several(returned: Any) -> bool:
    """Return whether something is a list or a tuple; values and types are tuples themselves."""
    return isinstance(returned, (tuple, list)) and not isinstance(returned, (Value, TensorType))


def _has_type(value: Any, type_: TensorType | None) -> bool:
    """Return whether a value has a type; what is no tensor has none that could be checked."""
    return type_ is None or (isinstance(value, Value) and value.type == type_)


def _described(returned: Any) -> str:
    if isinstance(returned, Value):
        return f"one value of type {returned.type}"
    if _is_several(returned):
        return ", ".join([str(each.type) if isinstance(each, Value) else _described(each) for each in returned]) or "()"
    return repr(returned)[:_LONGEST]


def _where(error: Exception) -> str:
    """Return the last line of code that an exception passed, other than the call of the handler here."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
