"""Conversion on threads, in notebooks, and in processes of every kind: it works, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap

import pyarrow.parquet as pq
import pytest
import torch
from networks import PLANTED
from planted_networks import Bytes, Small
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError

CODE = """
import code, multiprocessing
multiprocessing.set_start_method("spawn")
import anywhere
# No file has the main module of a notebook.
del __file__
anywhere.use_a_pool()
anywhere.convert("main")
anywhere.convert_on_threads()
code.InteractiveInterpreter({}).runsource('import anywhere; anywhere.convert("interpreter")')
print(anywhere.left_over())
for method, is_daemon in (("fork", True), ("fork", False), ("spawn", True)):
    name = f"{method}_{is_daemon}"
    process = multiprocessing.get_context(method).Process(target=anywhere.convert, args=(name,), daemon=is_daemon)
    process.start()
    process.join(120)
    print(name, process.exitcode)
    process.kill()
"""


def run(arguments, cwd, code=""):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, input=code, env={**os.environ, **PLANTED}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def from_standard_input(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anywhere")
    return run(["-"], folder, CODE), folder


def test_it_works_everywhere_and_leaves_nothing_behind(from_standard_input):
    done, folder = from_standard_input
    assert done.stdout.splitlines() == ["[]", "fork_True 0", "fork_False 0", "spawn_True 0"]
    assert done.stderr == ""
    names = ["fork_False", "fork_True", "interpreter", "main", "spawn_True", "thread0", "thread1", "thread2"]
    assert sorted(path.name for path in (folder / "nets").iterdir()) == names
    texts = {(folder / "nets" / name / f"{name}.mlir").read_text().replace(f"@{name}(", "@net(") for name in names}
    assert len(texts) == 1


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import multiprocessing
            multiprocessing.set_start_method("forkserver")
            import anywhere
            print("begun")
            anywhere.convert("mine")
            print(anywhere.left_over())
            """
        )
    )
    done = run(["script.py"], tmp_path)
    assert (done.stdout, done.stderr) == ("begun\n[]\n", "")


class Sum(nn.Module):
    def forward(self, first, second, *, scale=None, **others):
        total = first - 2 * second
        total = total if scale is None else total * scale
        return total + others["more"] if others else total


def convert(folder, model, inputs, **settings):
    NeuralNetworkToMLIR(folder).convert_model(model, inputs, "mine", check="execute", **settings)
    (row,) = pq.read_table(folder / "index.parquet").to_pylist()
    return [(one["name"], one["dtype"], one["shape"]) for one in row["arguments"] if one["role"] == "input"]


@pytest.mark.parametrize("use_torch_mlir", [True, False])
def test_inputs_by_name(use_torch_mlir, tmp_path):
    inputs = {"more": (3,), "scale": torch.full((2, 3), 3, dtype=torch.int32), "second": (2, 3), "first": (2, 3)}
    settings = {"use_torch_mlir": use_torch_mlir, "input_dtypes": {"second": "f64"}}
    assert convert(tmp_path, Sum(), inputs, **settings) == [
        *(("first", "f32", [2, 3]), ("second", "f64", [2, 3])),
        *(("scale", "i32", [2, 3]), ("more", "f32", [3])),
    ]
    assert [name for name, *_ in convert(tmp_path, Sum(), {"second": (2,), "first": (2,)})] == ["first", "second"]


@pytest.mark.parametrize(
    ("model", "inputs", "settings", "expected"),
    [
        (Small(), {"imag": (1, 3, 8, 8)}, {}, "input_shape names 'imag', and Small.forward takes image. Did you mean"),
        (Small(), {}, {}, "input_shape is empty, and Small.forward takes image"),
        (Small(), {"image": (None, 3)}, {}, "input_shape has (None, 3), and must be a tuple of numbers above 0"),
        (Small(), {"image": (1, 3, 8, 8)}, {"input_dtypes": {"x": "f32"}}, "input_dtypes has 'x', and the inputs are"),
    ],
    ids=["misspelt", "empty", "dynamic", "dtypes"],
)
def test_names_that_the_forward_method_has_not(model, inputs, settings, expected, tmp_path):
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(tmp_path).convert_model(model, inputs, "mine", **settings)
    assert str(caught.value).startswith(expected)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_told_what_is_being_done(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        converter = NeuralNetworkToMLIR(tmp_path)
        converter.convert_model(Small(), (1, 3, 8, 8), "mine", check="execute")
        converter.convert_model(Bytes(), (2, 3), "other")
        shown = sys.stderr.getvalue()
    for stage in ("exporting", "converting", "verifying", "running in PyTorch", "lowering", "compiling and running"):
        assert f"mine: {stage} [00:0" in shown
    said = "other was converted by the manual converter, since torch-mlir failed at the stage emitted: torch-mlir: it"
    assert said in shown
    # Nothing stays of the line but what is said.
    assert shown.rstrip(" \r").endswith("crashed its process (SIGSEGV)\n") or shown.endswith("\r")


def test_a_pipe_is_told_nothing(tmp_path, capfd):
    NeuralNetworkToMLIR(tmp_path).convert_model(Small(), (1, 3, 8, 8), "mine", check="execute")
    assert capfd.readouterr() == ("", "")
