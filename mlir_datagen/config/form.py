"""The part of the config that says in which form operations are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.ops.structured_operation import FORMS
from mlir_datagen.programs.forms import ALL_NAMED, Forms
from mlir_datagen.values import check_keys, whole_number


def parse_form(raw: Mapping[str, Any]) -> Forms:
    """Check the `form` part: the share of each form.

    Raises:
        UserError: when a share is no whole number, or all are zero.
    """
    if not raw:
        return ALL_NAMED
    check_keys(raw, FORMS, "form")
    shares = [
        whole_number(raw.get(form, 0), f"form.{form}", minimum=0, maximum=10**6, example=f"form.{form}=1")
        for form in FORMS
    ]
    if not any(shares):
        raise UserError("form gives no form a share. Type for instance form=named, or form=mixed form.category=0.")
    divisor = math.gcd(*shares)
    return Forms(tuple(share // divisor for share in shares))


def saved_form(forms: Forms) -> dict[str, int]:
    """Return the part as plain values, from which `parse_form` makes it again."""
    return dict(zip(FORMS, forms.shares, strict=True))
