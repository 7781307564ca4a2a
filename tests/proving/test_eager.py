"""PyTorch called eagerly on what a program computes, so that it can be timed like the program."""

from __future__ import annotations

import pytest
import torch
from helpers import golden_program

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.models import parse_model
from mlir_datagen.errors import Rejection
from mlir_datagen.networks.eager import network_call
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.proving.eager import EagerProgram, family_call
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.reference import random_arguments


@pytest.mark.parametrize(
    "name", ["matmul_mk_kn", "conv2d_nchw_fchw", "pooling_avg", "elementwise_max_4d", "relu_generic_3d"]
)
def test_a_program_of_a_family_is_its_reference_in_its_own_precision(name, monkeypatch):
    """On numbers: it is timed on zeros, of which any product is right."""
    monkeypatch.setattr("mlir_datagen.proving.eager.zero_arguments", random_arguments)
    family, spec, text = golden_program(name)
    job = job_of(family, spec, text, "parse", measure=True)
    program = EagerProgram(family_call(job))
    (result,) = family.graph(spec).results
    found = program._call()
    assert (tuple(found.shape), found.dtype) == (result.shape, torch.float32)
    expected = family.pytorch(spec)(*(torch.from_numpy(argument).double() for argument in random_arguments(job)))
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_a_drawn_graph_is_called_too(monkeypatch):
    monkeypatch.setattr("mlir_datagen.proving.eager.zero_arguments", random_arguments)
    family = PROGRAM_FAMILIES["block"]
    spec = family.spec_from_json({"kind": "mlp", "draw": {"rows": 8, "columns": [4, 5], "features": 2}})
    job = job_of(family, spec, family.program(spec), "parse", measure=True)
    found = EagerProgram(family_call(job))._call()
    assert (tuple(found.shape), found.dtype) == ((8, 5), torch.float32)
    (held,) = family.held_against(spec, random_arguments(job))
    torch.testing.assert_close(found.double(), torch.from_numpy(held.reference), rtol=1e-4, atol=1e-5)


def test_it_is_called_as_often_as_asked(monkeypatch):
    family, spec, text = golden_program("relu_generic_1d")
    program = EagerProgram(family_call(job_of(family, spec, text, "parse", measure=True)))
    calls = []
    monkeypatch.setattr(program, "_call", lambda: calls.append(torch.is_grad_enabled()))
    samples = program.sample(2, 3)
    assert calls == [False] * 6
    assert samples.shape == (2, 2)


def test_a_network_is_built_from_its_spec_and_called_on_its_inputs():
    model = compose_config(["ops=[]", "models=[resnet18]", "models.resnet18.sizes.resolution=32"]).models["resnet18"]
    program = EagerProgram(network_call(model))
    with torch.no_grad():
        assert tuple(program._call().shape) == (1, 1000)


@pytest.mark.parametrize(
    ("class_", "shape", "reason"),
    [
        ("somebodys.Net", [1, 8], "somebodys.Net is of a package that only the run trusted which made"),
        ("torchvision.models.resnet18", [1, 8], "Expected 3D"),
    ],
)
def test_a_network_that_cannot_be_called_has_no_time(class_, shape, reason):
    raw = {"class": class_, "arguments": {}, "sizes": {}, "inputs": [{"name": "x", "shape": shape}]}
    with pytest.raises(Rejection, match=reason) as rejected:
        network_call(parse_model("mine", raw))
    assert rejected.value.stage == "measured"
