"""What a worker does with a program, in this process."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import golden_program

from mlir_datagen.proving import worker as module
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.settings import Cores, MeasureSettings


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
    proof = module.Worker(Cores.available(), settings, True).prove(job_of(family, spec, text, level, measure=True))
    assert proof.measurement.median_ns > 0
    # The yardstick is called on others.
    shapes = [operand.shape for operand in family.graph(spec).arguments]
    *compared, (lhs, rhs, _) = [arrays for arrays in given if [array.shape for array in arrays[:2]] == shapes]
    assert not lhs.any()
    assert not rhs.any()
    assert len(compared) == (level == "execute")
    assert all(np.count_nonzero(array) == array.size for arrays in compared for array in arrays[:2])
