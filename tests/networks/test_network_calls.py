"""The Python call for networks, and the examples of the project's first README."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow.parquet as pq
import pytest
import readme_examples
import torch
from helpers import REPOSITORY, SUPPORT, run_mlir_opt
from planted_networks import Returns, Small
from safetensors.numpy import load_file
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.mlir.cost import linalg_operations
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.linalg_operation import parse_module
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts

WITHOUT_TORCH_MLIR = "import sys\nsys.modules['torch_mlir'] = None\n"


def run_python(code, cwd, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def rows(folder):
    return {row["name"]: row for row in pq.read_table(folder / "index.parquet").to_pylist()}


def operation_names(text):
    return {operation.name for operation in linalg_operations(parse_module(text, Contexts().next()))}


class TwoInputs(nn.Module):
    """Rows of a table by number, scaled."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 3)

    def forward(self, numbers, scale, bias=None):
        return self.table(numbers) * scale


class AnyNumber(nn.Module):
    def forward(self, *tensors):
        return sum(tensors)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The folder of each example of the first README, after it ran."""
    folder = tmp_path_factory.mktemp("examples")
    programs = {
        "random_programs": readme_examples.RANDOM_PROGRAMS,
        "resnet": readme_examples.RESNET,
        "quick_start": readme_examples.QUICK_START,
        "custom_script": readme_examples.CUSTOM_SCRIPT,
        "parameters": readme_examples.COMMON + readme_examples.PARAMETERS,
        "conversion": readme_examples.COMMON + readme_examples.CONVERSION,
        "smaller_batches": readme_examples.COMMON + readme_examples.SMALLER_BATCHES,
    }
    for name, code in programs.items():
        (folder / name).mkdir()
        (folder / f"{name}.py").write_text(code)
    # One process for all, since each would import PyTorch; each example has names and a folder of its own.
    done = run_python(
        f"""
        import os, runpy
        for name in {list(programs)}:
            os.chdir({str(folder)!r} + "/" + name)
            runpy.run_path(f"../{{name}}.py")
        """,
        folder,
        "-W",
        "error::UserWarning",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return folder


def test_the_examples_with_random_programs(examples):
    for files, number in {
        "random_programs/data/train": 1000,
        "quick_start/data/quick_start": 1000,
        "custom_script/data/custom_train": 500,
        "parameters/data/train": 1000,
        **{f"smaller_batches/data/train/batch_{index}": 100 for index in range(10)},
    }.items():
        assert len(list((examples / files).glob("*.mlir"))) == number


def test_the_examples_with_networks(examples):
    networks = {name: examples / name / "data" / "neural_nets" for name in ("resnet", "custom_script", "conversion")}
    texts = {name: next(folder.glob("*.mlir")).read_text() for name, folder in networks.items()}
    done = run_mlir_opt(19, texts.values())
    assert done.returncode == 0, done.stderr
    resnet = rows(networks["resnet"])["resnet18"]
    assert resnet["kind"] == "manual"
    assert resnet["check"] == "parse"
    assert resnet["arguments"][0] == {"role": "input", "name": "x", "dtype": "f32", "shape": [1, 3, 224, 224]}
    # Left out, it is torch-mlir; and of two calls of one name, the last stays.
    assert rows(networks["custom_script"])["simple_net"]["kind"] == "torch_mlir"
    assert list(rows(networks["conversion"])) == ["resnet18"]
    assert rows(networks["conversion"])["resnet18"]["kind"] == "manual"
    assert texts["resnet"] == texts["conversion"]
    assert [one["name"] for one in rows(networks["custom_script"])["simple_net"]["arguments"]] == [
        *("x", "conv1.weight", "conv1.bias", "fc.weight", "fc.bias"),
    ]


def test_our_simple_net_is_that_of_the_first_readme(examples, tmp_path):
    from mlir_datagen.nn.examples import SimpleNet

    path = NeuralNetworkToMLIR(tmp_path).convert_model(SimpleNet(), (1, 3, 224, 224), "simple_net")
    assert path.read_text() == (examples / "custom_script/data/neural_nets/simple_net.mlir").read_text()


def test_each_converter_gives_its_operations(tmp_path):
    converter = NeuralNetworkToMLIR(tmp_path)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2))
    through = converter.convert_model(model, (1, 3, 8, 8), "through", use_torch_mlir=True).read_text()
    by_hand = converter.convert_model(model, (1, 3, 8, 8), "by_hand", use_torch_mlir=False).read_text()
    left_out = converter.convert_model(model, (1, 3, 8, 8), "left_out").read_text()
    assert left_out == through.replace("@through", "@left_out")
    assert "linalg.generic" in operation_names(through)
    assert {"linalg.conv_2d_nchw_fchw", "linalg.pooling_nchw_sum"} <= operation_names(by_hand)
    assert "linalg.generic" not in operation_names(by_hand)


@pytest.fixture(scope="module")
def without_torch_mlir(tmp_path_factory):
    """What a process says and writes in which torch-mlir cannot be imported."""
    folder = tmp_path_factory.mktemp("without")
    code = """
        from mlir_datagen import NeuralNetworkToMLIR, UserError
        from planted_networks import Small
        converter = NeuralNetworkToMLIR("nets")
        model, shape = Small(), (1, 3, 8, 8)
        print(converter.convert_model(model, shape, "left_out"))
        print(converter.convert_model(model, shape, "asked_for", use_torch_mlir=False, save_weights=True))
        for name, settings in {"through": {"use_torch_mlir": True}, "checked": {"check": "execute"}}.items():
            try:
                converter.convert_model(model, shape, name, **settings)
            except UserError as error:
                print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH_MLIR + textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(SUPPORT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "nets", done.stdout.splitlines()


def test_without_torch_mlir_the_manual_converter_works_and_is_unverified(without_torch_mlir):
    folder, _ = without_torch_mlir
    found = rows(folder)
    assert [(row["kind"], row["check"], row["flops"]) for row in found.values()] == 2 * [("manual", "unverified", None)]
    text = (folder / "asked_for.mlir").read_text()
    assert run_mlir_opt(19, [text, (folder / "left_out.mlir").read_text()]).returncode == 0
    # It is what is made with torch-mlir, where it is verified.
    path = NeuralNetworkToMLIR(folder).convert_model(Small(), (1, 3, 8, 8), "asked_for", use_torch_mlir=False)
    assert path.read_text() == text
    assert rows(folder)["asked_for"]["check"] == "parse"


def test_without_torch_mlir_what_needs_it_is_refused(without_torch_mlir):
    folder, said = without_torch_mlir
    advice = (
        "needs torch-mlir, which is not installed: pip install torch-mlir. Without it, use_torch_mlir=False converts "
        "with this package's own converter, and the result is marked as unverified."
    )
    assert said[2:] == [f"use_torch_mlir=True {advice}", f"check='execute' {advice}"]
    assert not (folder / "through.mlir").exists()


@pytest.mark.parametrize("use_torch_mlir", [True, False])
def test_several_inputs(use_torch_mlir, tmp_path):
    converter = NeuralNetworkToMLIR(tmp_path)
    model = TwoInputs()
    converter.convert_model(
        model, [(2,), (2, 3)], "shapes", use_torch_mlir, input_dtypes=["i64", "f32"], check="execute"
    )
    tensors = [torch.tensor([6, 5], dtype=torch.int32), torch.rand(2, 3)]
    converter.convert_model(model, tensors, "tensors", use_torch_mlir, check="execute", save_weights=True)
    arguments = {name: row["arguments"] for name, row in rows(tmp_path).items()}
    assert [(one["role"], one["name"], one["dtype"], one["shape"]) for one in arguments["shapes"]] == [
        ("input", "numbers", "i64", [2]),
        ("input", "scale", "f32", [2, 3]),
        ("parameter", "table.weight", "f32", [7, 3]),
    ]
    assert arguments["tensors"][0]["dtype"] == "i32"
    assert all(row["error"] < 1e-6 for row in rows(tmp_path).values())
    (result,) = run((tmp_path / "tensors.mlir").read_text(), [*tensors, model.table.weight.detach()], [(2, 3)])
    assert np.allclose(result, model(*tensors).detach().numpy())


def run(text, arguments, shapes):
    results = [np.full(shape, np.nan, np.float32) for shape in shapes]
    arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in arguments]
    CompiledProgram(lower(text, Contexts().next()), len(arrays) + len(results)).bind([*arrays, *results]).run()
    return results


@pytest.mark.parametrize("use_torch_mlir", [True, False])
def test_any_number_of_inputs_and_results(use_torch_mlir, tmp_path):
    converter = NeuralNetworkToMLIR(tmp_path)
    path = converter.convert_model(AnyNumber(), [(2, 3)] * 3, "any_number", use_torch_mlir)
    ones = torch.ones(2, 3)
    assert run(path.read_text(), [ones, ones, ones], [(2, 3)])[0].tolist() == [[3, 3, 3], [3, 3, 3]]
    path = converter.convert_model(Returns(), (2, 3), "returns", use_torch_mlir)
    first, second = run(path.read_text(), [ones * 5], [(2, 3), (2, 3)])
    assert (first == 6).all()
    assert (second == 10).all()
    names = [one["name"] for one in rows(tmp_path)["returns"]["results"]]
    assert names == ["output0", "output1"]


@pytest.mark.parametrize("weights", ["arguments", "splat", "embedded"])
def test_a_model_is_left_as_it_was(weights, tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(3).eval())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    NeuralNetworkToMLIR(tmp_path).convert_model(model, (2, 3), "trained", weights=weights, check="execute")
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_trained_weights_are_saved(tmp_path):
    model = nn.Linear(3, 2)
    NeuralNetworkToMLIR(tmp_path).convert_model(model, (4, 3), "linear", save_weights=True)
    saved = load_file(tmp_path / "weights" / "linear.safetensors")
    assert set(saved) == {"weight", "bias"}
    assert np.array_equal(saved["weight"], model.weight.detach().numpy())


def test_a_network_of_the_same_name_is_replaced_and_others_stay(tmp_path):
    converter = NeuralNetworkToMLIR(tmp_path)
    converter.convert_model(nn.Linear(3, 2), (4, 3), "one", save_weights=True)
    converter.convert_model(nn.Linear(3, 2), (4, 3), "two")
    converter.convert_model(nn.Linear(3, 5), (4, 3), "one")
    found = rows(tmp_path)
    assert [(name, row["index"]) for name, row in found.items()] == [("one", 0), ("two", 1)]
    assert found["one"]["results"][0]["shape"] == [4, 5]
    # The weights of the network that was replaced would be taken for this one's.
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "index.parquet",
        "one.mlir",
        "two.mlir",
    ]


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "linear.mlir").write_text("precious")
    converter = NeuralNetworkToMLIR(tmp_path)
    with pytest.raises(UserError, match=r"linear\.mlir was not written by this converter, and would be replaced\."):
        converter.convert_model(nn.Linear(3, 2), (4, 3), "linear")
    assert (tmp_path / "linear.mlir").read_text() == "precious"
    assert converter.convert_model(nn.Linear(3, 2), (4, 3), "other").exists()


@pytest.mark.parametrize("damage", ["random", "foreign", "broken"])
def test_an_index_of_others_is_not_replaced(damage, tmp_path):
    index = tmp_path / "index.parquet"
    if damage == "random":
        from mlir_datagen import RandomMLIRGenerator

        RandomMLIRGenerator(dims="small").generate_dataset(4, tmp_path)
    elif damage == "foreign":
        import pyarrow as pa

        pq.write_table(pa.table({"name": ["x"]}), index)
    else:
        index.write_bytes(b"PAR1 and so on")
    before = index.read_bytes()
    with pytest.raises(UserError, match=r"index\.parquet (is another index|cannot be read)"):
        NeuralNetworkToMLIR(tmp_path).convert_model(nn.Linear(3, 2), (4, 3), "linear")
    assert index.read_bytes() == before
    assert not (tmp_path / "linear.mlir").exists()


def test_a_failed_conversion_leaves_the_folder_as_it_was(tmp_path):
    converter = NeuralNetworkToMLIR(tmp_path / "nets")
    with pytest.raises(UserError):
        converter.convert_model(nn.Linear(3, 2), (4, 4), "linear")
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    "work",
    [
        "mlir_datagen.RandomMLIRGenerator().generate_dataset(4, 'programs')",
        "from mlir_datagen.config.compose import compose_config; from mlir_datagen.pipeline.run import generate; "
        "generate(compose_config(['experiment=tiny']))",
    ],
)
def test_random_programs_need_no_pytorch(work, tmp_path):
    done = run_python(
        f"""
        import sys, mlir_datagen
        {work}
        print({{"torch", "torchvision", "transformers"}} & set(sys.modules))
        """,
        tmp_path,
    )
    assert done.stdout == "set()\n", done.stderr


def test_without_pytorch_networks_are_refused(tmp_path):
    done = run_python(
        """
        import sys
        sys.modules["torch"] = None
        import mlir_datagen
        try:
            mlir_datagen.NeuralNetworkToMLIR
        except mlir_datagen.UserError as error:
            print(error)
        """,
        tmp_path,
    )
    assert done.stdout == "Networks need PyTorch, which is not installed: pip install 'mlir_datagen[networks]'.\n"
