"""The converter `auto`: torch-mlir, and the manual converter where that fails, though PyTorch takes the network."""

from __future__ import annotations

from mlir_datagen.networks.model_spec import AUTO, ConverterSettings
from mlir_datagen.programs.proof import Failure

FIRST, SECOND = "torch_mlir", "manual"
"""The converters in the order in which they are tried, each of `CONVERTERS`."""


def said_of_second(name: str, first: Failure) -> str:
    """Say that a network was converted by the manual converter, and why."""
    return f"{name} was converted by the manual converter, since torch-mlir failed {_said(first)}"


def not_by_first(first: Failure) -> str:
    """Say that torch-mlir failed, as a sentence that another follows."""
    return f"torch-mlir failed {_said(first)}."


def both_failed(first: Failure, second: Failure) -> Failure:
    """Return why a network was not converted."""
    if first == second:
        return Failure(second.stage, f"{second.reason} (with both converters)")
    return Failure(second.stage, f"torch-mlir failed {_said(first)}; the manual converter failed {_said(second)}")


def written(converter: str, weights: str, instead_of: str | None) -> dict[str, str]:
    """Return how a network was converted, as its spec says it.

    Args:
        converter: one of `CONVERTERS`.
        weights: one of `WEIGHTS`.
        instead_of: the converter that failed before, if one did.
    """
    return {"kind": converter, "weights": weights, **({"instead_of": instead_of} if instead_of else {})}


def how_converted(settings: ConverterSettings) -> str:
    """Say how networks were converted, as the rest of a sentence that begins with their names, and a second one."""
    weights = {
        "arguments": "Their parameters and buffers are arguments of the function, in the order of the column.",
        "embedded": "Their weights are constants in the text.",
        "splat": "Their weights are constants of one value each.",
    }[settings.weights]
    by = f"`{FIRST}`, or by `{SECOND}` where that failed" if settings.kind == AUTO else f"`{settings.kind}`"
    return f"were converted by {by}, with random weights from the seed. {weights}"


def _said(failure: Failure) -> str:
    return f"at the stage {failure.stage}: {failure.reason}"
