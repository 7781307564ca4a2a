"""Converting small networks, and running what they became against PyTorch."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import torch
from helpers import run_mlir_opt

from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.networks.manual import convert_manual


def convert(module, *inputs, literals=None, **named):
    """Export and convert a network in evaluation mode."""
    exported = torch.export.export(module.eval(), inputs, named)
    return convert_manual(module, exported, "network", literals)


def random_statistics(module):
    """Give batch normalizations statistics and weights that do something."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values, low, high in (
                (layer.running_mean, -0.5, 0.5), (layer.running_var, 0.5, 1.5), (layer.weight.data, 0.5, 1.5),
                (layer.bias.data, -0.5, 0.5),
            ):  # fmt: skip
                values.uniform_(low, high)
    return module.eval()


def run(module, converted, *inputs, **named):
    """Compile a converted network and call it with the module's own weights; return its results."""
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    given = iter([*inputs, *named.values()])
    tensors = [
        next(given) if each.role == "input" else held.get(each.name, getattr(module, each.name, None))
        for each in converted.arguments
    ]
    assert [tuple(tensor.shape) for tensor in tensors] == [each.shape for each in converted.arguments]
    arrays = [np.ascontiguousarray(tensor.detach().numpy()) for tensor in tensors]
    results = [np.full(each.shape, 1, ELEMENT_TYPES[each.dtype].numpy) for each in converted.results]
    for result in results:
        if result.dtype.kind == "f":
            # An element that is not written stays NaN, which equals nothing.
            result.fill(np.nan)
    lowered = lower(converted.text, Contexts().next())
    CompiledProgram(lowered, len(arrays) + len(results), optimization=0).bind([*arrays, *results]).run()
    return results


def largest_error(module, converted, *inputs, **named):
    """Return the largest difference from PyTorch's outputs, relative to the largest element of each."""
    with torch.no_grad():
        outputs = module(*inputs, **named)
    outputs = outputs.values() if isinstance(outputs, dict) else outputs
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    errors = []
    for result, output in zip(run(module, converted, *inputs, **named), outputs, strict=True):
        assert (result.shape, result.dtype) == (tuple(output.shape), output.numpy().dtype)
        reference = output.numpy().astype(np.float64)
        largest = np.abs(reference).max(initial=0)
        errors.append(np.abs(result - reference).max(initial=0) / (largest or 1))
    return float(np.max(errors))


def assert_parses(text):
    for version in (19, 22):
        done = run_mlir_opt(version, [text])
        assert done.returncode == 0, done.stderr[:2000]


def linalg_operations(text):
    """Return how often each linalg operation occurs."""
    counts = Counter(re.findall(r"linalg\.(\w+)", text))
    for part in ("yield", "index"):
        counts.pop(part, None)
    return counts
