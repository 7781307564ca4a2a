"""Calling a network in PyTorch, eagerly, so that it can be timed like its program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir_datagen.errors import Rejection, UserError, first_line
from mlir_datagen.networks.model_spec import ModelSpec, require_trusted

_SEED = 0
"""Of a network's weights and inputs, on which its time does not depend."""


def network_call(spec: ModelSpec) -> Callable[[], Any]:
    """Return the call of a network on its example inputs.

    Raises:
        Rejection: at stage `measured`, when it cannot be built or called.
    """
    # Only here, in the worker process, since they import PyTorch.
    import torch

    from mlir_datagen.networks.building import build_model, example_inputs

    try:
        # A dataset may be a stranger's.
        require_trusted(spec, trust=())
    except UserError as error:
        reason = f"{spec.class_path} is of a package that only the run trusted which made the dataset"
        raise Rejection("measured", reason) from error
    try:
        model = build_model(spec, _SEED, trust=())
        inputs = example_inputs(spec, _SEED)
        with torch.no_grad():
            model(**inputs)
    except UserError as error:
        raise Rejection("measured", str(error)) from error
    except Exception as error:
        # The network's own code raises what it likes.
        raise Rejection("measured", f"{type(error).__name__}: {first_line(error)}") from error
    return lambda: model(**inputs)
