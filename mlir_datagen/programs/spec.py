"""The spec of a family's program, to and from JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from mlir_datagen.errors import UserError, nearest, shown
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.family import NotOfFamily, OpFamily
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.ops.program_family import AnySpec
from mlir_datagen.ops.structured_operation import NAMED


def spec_json(spec: AnySpec) -> str:
    """Return a spec as one line of JSON; the family's `spec_from_json` reads it back."""
    return orjson.dumps(spec.fields).decode()


def program_command(family: str, spec: str, form: str = NAMED) -> str:
    """Return the command that makes the program of a spec, given as JSON, alone, in the form that is asked for."""
    in_form = "" if form == NAMED else f" --form {form}"
    return f"python scripts/program.py {family} {shlex.quote(spec)}{in_form}"


def no_such_op(name: str) -> str:
    """Return what is said of the name of an op that there is not."""
    near, count = nearest(name, PROGRAM_FAMILIES, 3), len(PROGRAM_FAMILIES)
    return f'There is no op "{name}".{near} scripts/list_ops.py lists the {count} ops.'


def parse_spec(family: str, spec: str) -> Any:
    """Return the spec that a family's name and its fields as JSON describe.

    Raises:
        UserError: when there is no such family, or its spec has other fields.
    """
    if family not in PROGRAM_FAMILIES:
        raise UserError(no_such_op(family))
    try:
        parsed = PROGRAM_FAMILIES[family].spec_of_json(spec)
    except (NotOfFamily, NoGraph) as error:
        raise UserError(f"{shown(spec)} is not a program of {family}: {error}.") from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{shown(spec)} is not a spec of {family} as JSON ({error}); the index has a column of them."
        ) from error
    problem = PROGRAM_FAMILIES[family].problem(parsed)
    if problem is not None:
        raise UserError(f"{shown(spec)} is not a program of {family}: {problem}.")
    return parsed


def spec_of_fields(op: str, fields: Mapping[str, Any]) -> Any:
    """Return the spec of fields that a person wrote; strides and dilations that are left out are 1.

    Raises:
        TypeError: when the fields are not the family's.
        NotOfFamily, NoGraph: when they are, and make none of its programs.
    """
    family = PROGRAM_FAMILIES[op]
    if isinstance(family, OpFamily):
        fields = {**{axis: 1 for axis in family.axes if axis.startswith(("stride", "dilation"))}, **fields}
    return family.spec_from_json(fields)
