"""What a network is, as plain data: from the config, to and from JSON. Whoever has it can build the network again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlir_datagen.errors import UserError, listed, shown


class InputSpec(NamedTuple):
    """One input of a network.

    Attributes:
        name: of the forward method's argument.
        shape: each extent as a number, or as the name of one of the model's sizes or arguments.
        dtype: the element type, one of `INPUT_DTYPES`.
        below: for integers, random values stay below this number (or size or argument of that name).
        value: all elements have this value; then nothing is random.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "f32"
    below: int | str | None = None
    value: int | float | None = None


TRUSTED = ("mlir_datagen", "torchvision", "transformers")
"""Packages whose classes a config may name."""

INPUT_DTYPES = ("f32", "f64", "i64", "i32", "i1")


@dataclass(frozen=True)
class ModelSpec:
    """A network that can be built.

    Attributes:
        name: its name in the dataset.
        class_path: the importable class, or the function of torchvision, that makes it.
        config_path: the importable class of its config, which then takes the arguments; None where there is none.
        arguments: keyword arguments, as plain values.
        sizes: extents that the inputs' shapes name.
        inputs: the inputs, in order.
    """

    name: str
    class_path: str
    config_path: str | None
    arguments: Mapping[str, Any]
    sizes: Mapping[str, int]
    inputs: tuple[InputSpec, ...]

    def extent(self, extent: int | str) -> int:
        """Return an extent as a number.

        Raises:
            UserError: when it names nothing that is a number above 0.
        """
        number = {**self.arguments, **self.sizes}.get(extent) if isinstance(extent, str) else extent
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise UserError(
                f"models.{self.name} has an input with the extent {shown(extent)}, which must be a number above 0 or "
                f"name one of its sizes ({listed(self.sizes) or 'it has none'}) or arguments. Shapes are static: every "
                "program of a dataset has one iteration space, so there is no dynamic extent."
            )
        return number

    def shape(self, input_: InputSpec) -> tuple[int, ...]:
        """Return the shape of an input as numbers.

        Raises:
            UserError: when an extent is not one.
        """
        return tuple(self.extent(extent) for extent in input_.shape)

    def to_saved(self) -> dict[str, Any]:
        """Return the model as plain values, as `conf/models/` has it."""
        saved: dict[str, Any] = {"class": self.class_path}
        if self.config_path is not None:
            saved["config"] = self.config_path
        inputs = []
        for input_ in self.inputs:
            fields = {**input_._asdict(), "shape": list(input_.shape)}
            inputs.append({key: value for key, value in fields.items() if value is not None})
        return {**saved, "arguments": dict(self.arguments), "sizes": dict(self.sizes), "inputs": inputs}


def require_trusted(spec: ModelSpec, trust: Sequence[str]) -> None:
    """Refuse a network whose class or config is of a package that the run does not trust.

    Args:
        spec: the network.
        trust: the packages that the run trusts besides `TRUSTED`.

    Raises:
        UserError: with the setting that would allow it.
    """
    for path in filter(None, (spec.class_path, spec.config_path)):
        package, _, _ = path.partition(".")
        if package not in (*TRUSTED, *trust):
            raise UserError(
                f"models.{spec.name} names {path}, and classes outside {listed(TRUSTED)} are not imported unless this "
                f"run trusts their package, since importing runs its code. If you do, type 'trust=[{package}]'."
            )


@dataclass(frozen=True)
class ConverterSettings:
    """How networks become MLIR.

    Attributes:
        kind: one of `CONVERTERS`, or `AUTO`.
        weights: where parameters and buffers go, one of `WEIGHTS`.
        seconds: of processor time that converting and checking one network may take.
        memory_bytes: the memory that it may take.
    """

    kind: str
    weights: str
    seconds: int
    memory_bytes: int


CONVERTERS = ("torch_mlir", "manual")
AUTO = "auto"
"""torch-mlir, and the manual converter where that fails."""
DEFAULT_SECONDS = 900
DEFAULT_MEMORY_BYTES = 1 << 34
"""The limits that the files of `conf/converter/` have."""
WEIGHTS = ("arguments", "embedded", "splat")
"""Function arguments; constants in the text; constants that have one value each."""
