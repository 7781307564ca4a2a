"""The part of the config that says under which licence a dataset is."""

from __future__ import annotations

from typing import Any

from mlir_datagen.dataset.licenses import DEFAULT_LICENSE, LICENSES
from mlir_datagen.errors import UserError, listed, nearest, shown

DEFAULT_LICENSES = (DEFAULT_LICENSE,)


def parse_license(value: Any) -> tuple[str, ...]:
    """Return the licences that a config names: one, or those of all datasets that one was merged of.

    Raises:
        UserError: when one is none that the card may name.
    """
    names = value if isinstance(value, list) and value else [value]
    for name in names:
        if name not in LICENSES:
            hint = nearest(name, LICENSES) if isinstance(name, str) else ""
            raise UserError(
                f"license is {shown(name)}, and must be a licence as Hugging Face spells it: {listed(LICENSES)}.{hint} "
                f"Type for instance license={DEFAULT_LICENSE} or license=cc-by-4.0."
            )
    return tuple(sorted(set(names)))


def saved_license(licenses: tuple[str, ...]) -> str | list[str]:
    """Return the licences as a config has them."""
    return licenses[0] if len(licenses) == 1 else list(licenses)
