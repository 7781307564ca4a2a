"""Networks in datasets: both converters, the signature, weights, and what becomes of networks that fail."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import shlex

import numpy as np
import pytest
import torch
import yaml
from helpers import REPOSITORY, made_dataset, run_mlir_opt, run_script
from networks import (
    BERT,
    GPT2,
    PLANTED,
    RESNET,
    SMALL,
    TRUSTED,
    generate,
    index_rows,
    manifest,
    planted,
    rejects,
)
from safetensors.numpy import load_file
from warm_scripts import run_warm

from mlir_datagen.config.commands import choosing
from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.element_types import of_torch
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.networks.building import build_model, example_inputs
from mlir_datagen.networks.catalogue import TORCHVISION_CLASSIFIERS
from mlir_datagen.networks.conversion import convert
from mlir_datagen.networks.state import splat
from mlir_datagen.networks.torchvision_import import import_torchvision

CHOSEN = ["models=[resnet18,bert_base,gpt2]", *RESNET, *BERT, *GPT2, SMALL, TRUSTED]
NAMES = ["bert_base", "gpt2", "resnet18", "small"]
SEED = 7
CONVERTERS = ("torch_mlir", "manual")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A dataset of each converter, executed, with weights; torch-mlir's has random programs too."""
    datasets = {}
    for converter, others in (("torch_mlir", ["num_samples=12", "dims=small"]), ("manual", ["ops=[]"])):
        folder = tmp_path_factory.mktemp(converter)
        settings = [f"converter={converter}", *others, f"seed={SEED}", "check=execute", "save_weights=true"]
        datasets[converter] = made_dataset(generate(folder, *CHOSEN, *settings), folder)
    return datasets


@pytest.fixture(scope="module")
def with_rejects(tmp_path_factory):
    """What a run of networks printed that fail in one way each, and its dataset."""
    folder = tmp_path_factory.mktemp("rejects")
    failing = ["scatters", "spectrum", "branches", "selects", "gives_nothing", "differs", "hungry", "slow", "crashes"]
    done = generate(
        folder,
        *(planted(name) for name in failing),
        *(planted("missing", "Smal"), planted("no_network", "build_nothing"), planted("returns"), SMALL, TRUSTED),
        planted("other_shape", "Small", "{name: image, shape: [1, 4, 8, 8]}"),
        *("ops=[]", "check=execute", "save_weights=true", "converter.memory_bytes=1000000000", "converter.seconds=6"),
    )
    return done, made_dataset(done, folder)


@pytest.fixture(scope="module")
def small_spec():
    return compose_config(["ops=[]", SMALL]).models["small"]


@pytest.fixture(scope="module")
def models():
    """The networks of `executed` with their inputs. Tests must not change them."""
    specs = compose_config(["ops=[]", *CHOSEN]).models
    return {name: (built(specs[name], SEED), example_inputs(specs[name], SEED)) for name in NAMES}


def built(spec, seed):
    return build_model(spec, seed, ("planted_networks",))


@pytest.mark.parametrize("converter", CONVERTERS)
def test_a_dataset_with_networks_is_one_like_all(converter, executed):
    dataset = executed[converter]
    rows = index_rows(dataset)
    assert list(rows) == NAMES
    assert [row["index"] for row in rows.values()] == [0, 1, 2, 3]
    described = manifest(dataset)
    assert described["counts"]["neural_nets"] == {"network": 4}
    assert described["funnel"]["matched"] == described["funnel"]["kept"] == described["funnel"]["attempted"]
    assert {"torch", "torchvision", "transformers"} <= set(described["environment"])
    for name, row in rows.items():
        text = (dataset / row["file"]).read_text()
        assert row["file"] == f"neural_nets/{name}.mlir"
        assert row["mlir"] == text
        assert row["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert (row["split"], row["source"], row["family"], row["kind"]) == (
            *("neural_nets", "network", "network"),
            converter,
        )
        assert f"func.func @{name}(" in text
    done = run_warm("verify", str(dataset), cwd=dataset)
    assert done.returncode == 0, done.stderr


def test_networks_and_random_programs_are_in_one_dataset(executed):
    counts = manifest(executed["torch_mlir"])["counts"]
    assert set(counts) == {"train", "test", "neural_nets"}
    assert sum(counts["train"].values()) + sum(counts["test"].values()) == 12
    assert {row["source"] for row in index_rows(executed["torch_mlir"], "train").values()} == {"random"}


def test_networks_do_not_change_the_random_programs(executed, tmp_path):
    done = generate(tmp_path, "num_samples=12", "dims=small", f"seed={SEED}")
    alone = made_dataset(done, tmp_path)
    for split in ("train", "test"):
        rows, others = index_rows(alone, split), index_rows(executed["torch_mlir"], split)
        assert [row["sha256"] for row in rows.values()] == [row["sha256"] for row in others.values()]


@pytest.mark.parametrize("converter", CONVERTERS)
@pytest.mark.parametrize("version", [19, 22])
def test_networks_parse_on_other_versions_of_mlir(version, converter, executed):
    texts = [row["mlir"] for row in index_rows(executed[converter]).values()]
    done = run_mlir_opt(version, texts)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("converter", CONVERTERS)
def test_execution_compares_with_pytorch_and_notes_the_errors(converter, executed):
    for row in index_rows(executed[converter]).values():
        assert row["check"] == "execute"
        assert 0 < row["error"] < 1e-4
        assert 0 < row["absolute_error"] < 1e-3
        assert (row["proven"], row["excused"], row["unshown"]) == ("matched", 0, [])
    check = manifest(executed[converter])["check"]
    assert check["matched"] == check["checked_beyond_parsing"] == (16 if converter == "torch_mlir" else 4)


@pytest.mark.parametrize("converter", CONVERTERS)
def test_the_signature_is_that_of_the_model(converter, executed, models):
    rows = index_rows(executed[converter])
    for name, (model, _) in models.items():
        arguments = rows[name]["arguments"]
        roles = [argument["role"] for argument in arguments]
        assert roles == sorted(roles, key=["input", "parameter", "buffer"].index)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for role, expected in (
            ("parameter", [name for name, _ in model.named_parameters()]),
            ("buffer", [name for name, _ in model.named_buffers() if "num_batches_tracked" not in name]),
        ):
            found = [argument["name"] for argument in arguments if argument["role"] == role]
            # What the results do not depend on is no argument: a pooler that nobody reads, a type of tokens.
            assert found == [name for name in expected if name in set(found)]
            assert set(expected) - set(found) <= ({"embeddings.token_type_ids"} if name == "bert_base" else set())
        for argument in arguments:
            if argument["role"] == "input":
                continue
            tensor = tensors[argument["name"]]
            assert argument["shape"] == list(tensor.shape)
            assert argument["dtype"] == of_torch(tensor.dtype)
    assert rows["bert_base"]["arguments"][:2] == [
        {"role": "input", "name": "input_ids", "dtype": "i64", "shape": [1, 8]},
        {"role": "input", "name": "attention_mask", "dtype": "i64", "shape": [1, 8]},
    ]
    assert rows["resnet18"]["results"] == [{"role": "output", "name": "output0", "dtype": "f32", "shape": [1, 1000]}]
    assert [result["shape"] for result in rows["bert_base"]["results"]] == [[1, 8, 32], [1, 32]]
    assert [argument["name"] for argument in rows["small"]["arguments"]] == [
        *("image", "scale", "layers.0.weight", "layers.1.weight", "layers.1.bias", "head.weight", "head.bias"),
        *("offset", "layers.1.running_mean", "layers.1.running_var"),
    ]


@pytest.mark.parametrize("converter", CONVERTERS)
def test_saved_weights_are_those_of_the_signature_and_of_the_model(converter, executed, models):
    rows = index_rows(executed[converter])
    for name, (model, _) in models.items():
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        saved = load_file(executed[converter] / "weights" / f"{name}.safetensors")
        assert set(saved) == {one["name"] for one in rows[name]["arguments"] if one["role"] != "input"}
        for key, values in saved.items():
            assert np.array_equal(values, tensors[key].detach().numpy())
    listed = (executed[converter] / "SHA256SUMS").read_text()
    assert all(f"weights/{name}.safetensors" in listed for name in NAMES)


@pytest.mark.parametrize("converter", CONVERTERS)
def test_the_index_and_the_weights_are_enough_to_run_a_network(converter, executed, models):
    row = index_rows(executed[converter])["small"]
    weights = load_file(executed[converter] / "weights" / "small.safetensors")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    arguments = [image if one["role"] == "input" else weights[one["name"]] for one in row["arguments"]]
    result = np.full(row["results"][0]["shape"], np.nan, np.float32)
    program = CompiledProgram(lower(row["mlir"], Contexts().next()), len(arguments) + 1)
    program.bind([*arguments, result]).run()
    model, _ = models["small"]
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    assert np.allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("converter", CONVERTERS)
def test_another_process_gives_the_same_bytes(converter, executed, models):
    rows = index_rows(executed[converter])
    for name, (model, inputs) in models.items():
        converted = convert(model, inputs, name, converter, constant=False)
        assert converted.text == rows[name]["mlir"]


def test_the_seed_decides_the_weights_and_leaves_pytorchs_own_alone(small_spec):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (built(small_spec, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("converter", "weights"), [("torch_mlir", "embedded"), ("manual", "splat")])
def test_weights_in_the_text(converter, weights, tmp_path):
    settings = ["ops=[]", f"converter={converter}", f"converter.weights={weights}", "check=execute"]
    dataset = made_dataset(generate(tmp_path, SMALL, TRUSTED, *settings, "save_weights=true"), tmp_path)
    (row,) = index_rows(dataset).values()
    assert [argument["name"] for argument in row["arguments"]] == ["image"]
    assert 0 <= row["error"] < 1e-4
    assert run_mlir_opt(19, [row["mlir"]]).returncode == 0
    # They are no arguments, so that the signature does not tell which are wanted: all.
    saved = load_file(dataset / "weights" / "small.safetensors")
    assert {"scale", "offset", "layers.1.running_mean", "head.weight"} <= set(saved)
    assert weights != "splat" or len(set(saved["head.weight"].flatten())) == 1
    assert run_warm("verify", str(dataset), cwd=dataset).returncode == 0
    is_hexadecimal = 'dense<"0x' in row["mlir"]
    assert is_hexadecimal == (weights == "embedded")


@pytest.mark.parametrize("converter", CONVERTERS)
@pytest.mark.parametrize("weights", ["embedded", "splat"])
def test_constants_are_the_models_values(weights, converter, small_spec):
    model = built(small_spec, SEED)
    if weights == "splat":
        splat(model)
    image = example_inputs(small_spec, SEED)["image"]
    converted = convert(model, {"image": image}, "small", converter, constant=True)
    result = np.full((1, 5), np.nan, np.float32)
    program = CompiledProgram(lower(converted.text, Contexts().next()), 2)
    program.bind([image.numpy(), result]).run()
    with torch.no_grad():
        assert np.allclose(result, model(image).numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_that_fails_is_a_reject_and_the_others_are_kept(with_rejects):
    _, dataset = with_rejects
    assert list(index_rows(dataset)) == ["returns", "small"]
    assert len(index_rows(dataset)["returns"]["results"]) == 2
    reasons = {name: (reject["stage"], reject["reason"]) for name, reject in rejects(dataset).items()}
    stages = {name: stage for name, (stage, _) in reasons.items()}
    assert stages == dict.fromkeys(stages, "emitted") | {"differs": "matched"}
    assert len(stages) == 12
    memory = "it needs more memory than converter.memory_bytes, 1000000000"
    for name, expected in {
        "hungry": memory,
        "slow": "it ran for longer than converter.seconds, 6 s of processor time",
        "differs": (
            "PyTorch gives other results when it runs the network than when it runs the graph that was captured of it: "
            "the network draws random numbers, or does something else while it is captured"
        ),
        "crashes": "planted_networks.Crashes cannot be built from models.crashes.arguments: 'a key'",
        "missing": (
            'models.missing names planted_networks.Smal, and planted_networks has no Smal. Did you mean "Small"?'
        ),
        "no_network": (
            "planted_networks.build_nothing makes an object of the type int, and models.no_network needs a "
            "torch.nn.Module."
        ),
        "gives_nothing": "gives_nothing returns no tensor, so that its program would compute nothing.",
    }.items():
        assert reasons[name][1] == expected
    expected = (
        "torch-mlir gives tm_tensor.scatter, which is not of a dialect of upstream MLIR, for the operator aten.scatter."
    )
    assert reasons["scatters"][1].startswith(expected)
    assert reasons["spectrum"][1].startswith("torch-mlir: failed to legalize operation 'torch.")


def test_rejected_networks_are_counted_and_leave_nothing(with_rejects):
    done, dataset = with_rejects
    funnel = manifest(dataset)["funnel"]
    assert (funnel["attempted"], funnel["kept"]) == (14, 2)
    assert (funnel["rejected"]["emitted"], funnel["rejected"]["matched"]) == (11, 1)
    assert sorted(path.stem for path in (dataset / "weights").iterdir()) == ["returns", "small"]
    assert "scatters was rejected at the stage emitted: torch-mlir gives tm_tensor.scatter" in done.stdout
    # What PyTorch, MLIR and transformers say to their own developers stays away.
    assert done.stderr == ""


def test_the_command_of_a_reject_repeats_it(with_rejects, tmp_path):
    _, dataset = with_rejects
    python, script, *arguments = shlex.split(rejects(dataset)["scatters"]["command"])
    assert (python, script) == ("python", "scripts/generate.py")
    done = generate(tmp_path, *arguments)
    assert done.returncode == 2
    assert "torch-mlir gives tm_tensor.scatter" in " ".join(done.stderr.split())


def test_a_dataset_with_rejects_is_verified_and_comes_back_byte_for_byte(with_rejects, tmp_path):
    assert run_warm("verify", str(with_rejects[1]), cwd=tmp_path).returncode == 0
    # Of fewer networks: each is converted again.
    settings = [planted("scatters"), planted("returns"), TRUSTED, "ops=[]", "check=execute", "save_weights=true"]
    dataset = made_dataset(generate(tmp_path, *settings), tmp_path)
    assert list(rejects(dataset)) == ["scatters"]
    done = run_script("reproduce", str(dataset), "--trust", "planted_networks", cwd=dataset.parent, environment=PLANTED)
    assert done.returncode == 0, done.stderr
    assert "1 programs" in done.stdout


MODEL_FILES = sorted(path.stem for path in (REPOSITORY / "conf" / "models").glob("*.yaml"))


@pytest.mark.parametrize("name", MODEL_FILES)
def test_every_model_of_the_catalogue_composes_and_can_be_called_so(name):
    (spec,) = compose_config(["ops=[]", f"models=[{name}]"]).models.values()
    assert spec.name == name
    import_torchvision()
    made = _imported(spec.class_path)
    if spec.class_path.startswith("torchvision."):
        # Each builds another class, all of which take one image.
        assert made is _imported("torchvision.models.get_model_builder")(name)
        assert [input_.name for input_ in spec.inputs] == ["x"]
    else:
        accepted = inspect.signature(made.forward).parameters
        assert {input_.name for input_ in spec.inputs} <= set(accepted)
    if spec.config_path is not None:
        config = _imported(spec.config_path)(**spec.arguments)
        assert made.config_class is type(config)
        # A config keeps what it does not know, so a misspelt argument would change nothing.
        default = _imported(spec.config_path)()
        assert all(hasattr(default, argument) for argument in spec.arguments)
    assert choosing(spec) == {"models": f"[{name}]"}


def _imported(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_first_line_of_a_model_file_says_what_it_is():
    for name in MODEL_FILES:
        text = (REPOSITORY / "conf" / "models" / f"{name}.yaml").read_text()
        assert text.startswith(f"# @package models.{name}\n# "), name
        assert "class" in yaml.safe_load(text)


def test_the_catalogue_is_torchvisions_list():
    models = import_torchvision().models
    assert sorted(TORCHVISION_CLASSIFIERS) == models.list_models(module=models)
    assert len(TORCHVISION_CLASSIFIERS) == 80


@pytest.mark.parametrize("name", ["squeezenet1_1", "inception_v3", "resnet18"])
def test_every_network_of_torchvision_has_a_name(name):
    spec = compose_config(["ops=[]", f"models=[torchvision/{name}]"]).models[name]
    assert spec.class_path == f"torchvision.models.{name}"
    resolution = 299 if name == "inception_v3" else 224
    assert spec.shape(spec.inputs[0]) == (1, 3, resolution, resolution)


def test_a_network_described_on_the_command_line_is_the_same_network():
    spec = compose_config(["ops=[]", "models=[bert_base]", *BERT]).models["bert_base"]
    (setting,) = (f"{key}={value}" for key, value in choosing(spec).items())
    assert setting.startswith("+models.bert_base={")
    assert compose_config(["ops=[]", setting]).models["bert_base"] == spec


def test_the_networks_of_the_first_readme_are_an_experiment():
    config = compose_config(["experiment=neural_nets"])
    assert not config.ops
    assert {"resnet18", "resnet152", "bert_base", "bert_large", "gpt2", "gpt2_large", "simple_net"} <= set(
        config.models
    )
    assert json.loads(json.dumps(config.to_saved()))["num_samples"] is None
