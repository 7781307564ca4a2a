"""A network's program in a process of its own: what it does, how it may end, and that nothing of it is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.networks import isolated
from mlir_datagen.networks.isolated import IsolatedProgram
from mlir_datagen.networks.network_program import NetworkProgram
from mlir_datagen.proving.settings import SandboxLimits

LIMITS = SandboxLimits(60, 1 << 32)

DOUBLES = """
func.func @doubles(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = tensor.empty() : tensor<2x3xf32>
  %1 = linalg.add ins(%x, %x : tensor<2x3xf32>, tensor<2x3xf32>) outs(%0 : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}
"""

READS_FAR = """
func.func @reads_far(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %far = arith.constant 1000000000000 : index
  %0 = tensor.extract %x[%far, %far] : tensor<2x3xf32>
  %1 = tensor.splat %0 : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}
"""

STOPS = """
func.func @stops(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %false = arith.constant false
  cf.assert %false, "never"
  return %x : tensor<2x3xf32>
}
"""

NEVER_ENDS = """
func.func @never_ends(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %true = arith.constant true
  %zero = arith.constant 0 : i64
  %0 = scf.while (%a = %zero) : (i64) -> i64 {
    scf.condition(%true) %a : i64
  } do {
  ^bb0(%a: i64):
    %1 = arith.addi %a, %a : i64
    scf.yield %1 : i64
  }
  %1 = arith.sitofp %0 : i64 to f32
  %2 = tensor.splat %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}
"""

RESULTS = [("f32", (2, 3))]
ONES = np.ones((2, 3), np.float32)


def run(program, text, results=RESULTS):
    program.verify(text)
    program.lower()
    return program.run([ONES], results)


def rejection(text, limits=LIMITS, on_tick=lambda program: None, results=RESULTS):
    """Return the stage and the reason that a program is rejected with, and make sure that its process is gone."""
    program = IsolatedProgram(limits, lambda: on_tick(program))
    with pytest.raises(Rejection) as caught, program:
        run(program, text, results)
    assert program._process.returncode is not None
    assert not Path(program._folder.name).exists()
    return caught.value.stage, caught.value.reason


@pytest.mark.parametrize("make", [NetworkProgram, lambda: IsolatedProgram(LIMITS)], ids=["here", "isolated"])
def test_a_program_runs_again_on_other_arrays(make):
    program = make()
    if isinstance(program, IsolatedProgram):
        program.__enter__()
    try:
        assert program.verify(DOUBLES).flops == 6
        program.lower()
        for factor in (1, 3):
            given = ONES * factor
            (result,) = program.run([given], RESULTS)
            assert (result == 2 * factor).all()
            assert (given == factor).all()
        # In any order of memory, and of no size at all.
        (result,) = program.run([np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))], RESULTS)
        assert result.tolist() == [[0, 2, 4], [6, 8, 10]]
    finally:
        if isinstance(program, IsolatedProgram):
            program.__exit__()


def test_arrays_of_all_kinds_arrive(tmp_path):
    arrays = [np.zeros((0, 3)), np.float32(3).reshape(()), np.array([True, False]), np.arange(6).reshape(2, 3).T]
    (tmp_path / "arrays").mkdir()
    stored = isolated._stored({1: arrays}, tmp_path / "arrays")
    for array, other in zip(arrays, isolated._loaded(stored)[1], strict=True):
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        assert np.array_equal(array, other)


def test_what_is_wrong_with_a_program_is_said():
    with IsolatedProgram(LIMITS) as program:
        with pytest.raises(Rejection) as caught:
            program.verify("func.func @mine() -> f32 { return }")
        assert caught.value.stage == "verified"
        assert "has 0 operands" in caught.value.reason
        # It lives on.
        assert program.verify(DOUBLES).flops == 6


@pytest.mark.parametrize(("text", "signal_"), [(READS_FAR, "SIGSEGV"), (STOPS, "SIGABRT")])
def test_a_crash_names_stage_and_signal_and_does_not_guess(text, signal_):
    assert rejection(text) == ("executed", f"it crashed its process ({signal_})")


def test_what_never_ends_meets_the_limit_on_processor_time():
    stage, reason = rejection(NEVER_ENDS, SandboxLimits(1, 1 << 32))
    assert (stage, reason) == ("executed", "it ran for longer than seconds, 1 s of processor time")


def test_what_uses_no_processor_time_is_ended(monkeypatch):
    monkeypatch.setattr(isolated, "_IDLE_SECONDS", 1)
    with IsolatedProgram(LIMITS) as program, pytest.raises(Rejection, match="it used no processor time for 1 s"):
        # It was asked for nothing.
        program._receive("executed")


def test_what_is_paused_is_waited_for(monkeypatch):
    monkeypatch.setattr(isolated, "_IDLE_SECONDS", 1)
    ticks = iter(range(1000))

    def pause(program):
        # Not at once: it is to be at work.
        number = {8: signal.SIGSTOP, 18: signal.SIGCONT}.get(next(ticks))
        if number is not None:
            os.kill(program._process.pid, number)

    _, reason = rejection(NEVER_ENDS, SandboxLimits(3, 1 << 32), on_tick=pause)
    assert reason == "it ran for longer than seconds, 3 s of processor time"
    assert next(ticks) > 18


def test_the_limit_on_memory():
    limits = SandboxLimits(60, 1 << 28)
    expected = "it needs more memory than memory_bytes, 268435456"
    assert rejection(DOUBLES, limits, results=[("f32", (1 << 28,))]) == ("executed", expected)


def test_memory_is_the_reason_where_the_library_says_so():
    with IsolatedProgram(LIMITS) as program:
        program._errors.write_text("LLVM ERROR: out of memory\nAllocation failed\n")
        program._process.send_signal(signal.SIGABRT)
        with pytest.raises(Rejection, match="more memory than memory_bytes, 4294967296"):
            program.verify(DOUBLES)


def test_a_mistake_of_ours_is_not_a_rejection():
    with IsolatedProgram(LIMITS) as program, pytest.raises(KeyError, match="f7") as caught:
        run(program, DOUBLES, [("f7", (2, 3))])
    assert "in answer_of" in caught.value.__notes__[0]


def test_a_process_that_cannot_be_started(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match=r"No process can be started to convert the network in .*/python'"):
        IsolatedProgram(LIMITS).__enter__()


def test_a_full_temporary_folder(monkeypatch):
    def full(path, array):
        raise OSError(28, "No space left on device")

    with IsolatedProgram(LIMITS) as program:
        monkeypatch.setattr(np, "save", full)
        with pytest.raises(UserError, match=r"cannot hold the network's tensors .*No space left.* TMPDIR=…"):
            run(program, DOUBLES)


def python(code, **settings):
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent, **settings
    )


def test_it_ends_when_the_process_that_started_it_is_killed():
    code = (
        "import test_isolated as t\n"
        "def tick():\n"
        "    print(program._process.pid, flush=True)\n"
        "program = t.IsolatedProgram(t.LIMITS, tick)\n"
        "program.__enter__()\n"
        "t.run(program, t.NEVER_ENDS)\n"
    )
    with python(code) as starter:
        assert starter.stdout is not None
        process = int(starter.stdout.readline())
        starter.kill()
    deadline = time.monotonic() + 20
    while _is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(process)


def _is_alive(process):
    status = Path(f"/proc/{process}/status")
    # Of one that nobody has asked for, a number is left.
    return status.exists() and not re.search(r"State:\s+Z", status.read_text())


def test_the_process_imports_no_pytorch():
    code = (
        "import sys, mlir_datagen.networks.isolated, mlir_datagen.networks.network_program; "
        "print({'torch', 'transformers', 'hydra', 'pandas'} & set(sys.modules))"
    )
    with python(code) as process:
        assert process.communicate()[0] == "set()\n"
