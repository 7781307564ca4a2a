"""What a suite is, and what is extracted from networks, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.networks.model_spec import ModelSpec
from mlir_datagen.ops import FAMILIES


@dataclass(frozen=True)
class ExtractSettings:
    """What is taken out of networks.

    Attributes:
        window: how many connected linalg operations a program has; None for nothing.
        stride: at every so many operations a window begins.
    """

    window: int | None
    stride: int


@dataclass(frozen=True)
class SuiteSpec:
    """A fixed list of programs to evaluate on: specs of op families, or networks and what is extracted from them.

    Attributes:
        name: its name.
        version: goes up whenever its programs change.
        digest: of the names and texts of its programs; None for a suite that is not fixed yet.
        programs: for each program's name its family and its spec's fields.
        models: the networks, with the names that `conf/models/` gives them.
        converter: how they are converted.
        extract: what is taken out of them; nothing where they are the programs themselves.
    """

    name: str
    version: int
    digest: str | None
    programs: Mapping[str, tuple[str, Mapping[str, Any]]]
    models: tuple[ModelSpec, ...]
    converter: str | None
    extract: ExtractSettings

    @property
    def is_of_networks(self) -> bool:
        """Whether its programs are networks, and not what is taken out of them."""
        return bool(self.models) and self.extract.window is None

    @property
    def split(self) -> str:
        """The name of its split."""
        return f"{SUITES}.{self.name}"

    def to_saved(self) -> dict[str, Any]:
        """Return the suite as `conf/suites/` has it."""
        head = {"version": self.version, "digest": self.digest}
        if self.programs:
            listed = {name: {"op": op, **fields} for name, (op, fields) in self.programs.items()}
            return {**head, "programs": listed}
        return {
            **head,
            "models": [model.name for model in self.models],
            "converter": self.converter,
            "window": self.extract.window,
            "stride": self.extract.stride,
        }


SUITES = "suites"
"""The folder of the suites' programs, and what the names of their splits begin with."""


def suite_program(op: str, fields: Mapping[str, Any]) -> Any:
    """Return the spec of a suite's program; strides and dilations that are left out are 1.

    Raises:
        TypeError, KeyError: when the fields are not the family's.
    """
    family = FAMILIES[op]
    ones = {axis: 1 for axis in family.axes if axis.startswith(("stride", "dilation"))}
    return family.spec_from_json({**ones, **fields})
