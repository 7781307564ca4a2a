"""What a worker does with a program, in this process."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from helpers import golden_program

from mlir_datagen.ops import FAMILIES
from mlir_datagen.proving import worker as module
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.settings import Cores, MeasureSettings
from mlir_datagen.proving.worker_loop import OutOfMemory, answer_of


@pytest.mark.parametrize("level", ["parse", "execute"])
def test_a_program_is_compared_on_numbers_and_measured_on_zeros(level, monkeypatch):
    given = []
    real = module.CompiledProgram.bind

    def bind(program, arrays):
        given.append([array.copy() for array in arrays])
        return real(program, arrays)

    monkeypatch.setattr(module.CompiledProgram, "bind", bind)
    monkeypatch.setattr(module, "pin", lambda cores: None)
    family, spec, text = golden_program("matmul_mk_kn")
    settings = MeasureSettings("baseline", 5, 1.0, 1e9)
    proof = module.Worker(Cores.available(), settings, True, "").prove(job_of(family, spec, text, level, measure=True))
    assert proof.measurement.median_ns > 0
    # The yardstick is called on others.
    shapes = [operand.shape for operand in family.graph(spec).arguments]
    *compared, (lhs, rhs, _) = [arrays for arrays in given if [array.shape for array in arrays[:2]] == shapes]
    assert not lhs.any()
    assert not rhs.any()
    assert len(compared) == (level == "execute")
    assert all(np.count_nonzero(array) == array.size for arrays in compared for array in arrays[:2])


@pytest.mark.parametrize("dtype", ["bf16", "f32"])
def test_sums_of_one_element_that_cancel_are_right_and_others_are_not(dtype, monkeypatch):
    """Each is compared on many draws, of which some cancel nearly altogether, and most do not."""
    monkeypatch.setattr(module, "pin", lambda cores: None)
    family = FAMILIES["dot"]
    worker = module.Worker(Cores.available(), MeasureSettings("none", 5, 1.0, 1e9), with_reference=True, machine="")
    for k in (2, 24):
        spec = family.spec_from_json({"k": k, "dtype": dtype})
        text = family.program(spec, "generic")
        assert worker.prove(job_of(family, spec, text, "execute", measure=False)).proven == "matched"
        for right, wrong in (("arith.mulf", "arith.addf"), ("arith.addf %out, %", "arith.mulf %out, %")):
            outcome = worker.prove(job_of(family, spec, text.replace(right, wrong), "execute", measure=False))
            assert outcome.stage == "matched"


def test_a_reference_that_needs_too_much_memory_is_told_from_a_fault():
    def reference():
        torch.empty(1 << 50)

    assert isinstance(pickle.loads(answer_of(reference)), OutOfMemory)
    answer = pickle.loads(answer_of(lambda: [].pop()))
    assert isinstance(answer.error, IndexError)
