"""Each bad input for networks, in a run and in the Python call: what is said, and that nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import planted_networks
import pytest
import torch
import yaml
from helpers import run_script
from networks import PLANTED, SMALL, TRUSTED, generate, planted
from planted_networks import Branches, GivesNothing, Scans, Scatters, Selects, Small, Spectrum
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.config.compose import compose_config
from mlir_datagen.networks.building import build_model
from mlir_datagen.networks.worker import NetworkJob, convert_network
from mlir_datagen.programs.proof import Failure

IMAGE = (1, 3, 8, 8)


def said(settings):
    """Return what is said of settings that a config may not have."""
    with pytest.raises(UserError) as caught:
        compose_config(["ops=[]", *settings])
    return str(caught.value)


def described(class_path, inputs="{name: x, shape: [2, 3]}", **others):
    more = "".join(f", {key}: {value}" for key, value in others.items())
    return f"+models.mine={{class: {class_path}, inputs: [{inputs}]{more}}}"


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (
            ["models=[resnet81]"],
            [
                'There is no "resnet81" in the group models. Did you mean "resnet18"?',
                "It has albert, bert_base, ",
                "torchvision/<name> for 80 networks, such as torchvision/densenet121. Type for instance 'models=[",
            ],
        ),
        (["models=[densenet121]"], ['Did you mean "torchvision/densenet121"?']),
        (["models=[torchvision/vgg12]"], ['There is no "torchvision/vgg12"', 'Did you mean "torchvision/vgg1']),
        (["models=[bert]"], ['There is no "bert"', 'Did you mean "', "bert_base"]),
        (["models=resnet18x"], ['There is no "resnet18x"', 'Did you mean "resnet18"?']),
        (["models=[resnet18]", "converter=torchmlir"], ['no "torchmlir" in the group converter', "manual, torch_mlir"]),
        (
            ["models=[resnet18]", "converter.weights=frozen"],
            ["converter.weights is 'frozen'", "arguments, embedded, splat"],
        ),
        (["models=[resnet18]", "converter.kind=mine"], ["converter.kind is 'mine'", "torch_mlir, manual"]),
        (["models=[resnet18]", "converter.seconds=0"], ["converter.seconds is 0", "at least 1"]),
        (["models=[resnet18]", "converter.memory_bytes=1000"], ["converter.memory_bytes is 1000", "at least 1048576"]),
        (["models=[resnet18]", "save_weights=maybe"], ["save_weights is 'maybe'", "true, false"]),
        (
            ["models=[resnet18]", "trust=everything"],
            ["trust is 'everything'", "Type for instance 'trust=[my_package]'"],
        ),
        (["models=[resnet18]", "trust=[os.path]"], ["trust is ['os.path']", "a list of packages' names"]),
        (["models=[resnet18]", "num_samples=10"], ["num_samples is 10, which counts random programs, and no op is"]),
        (
            ["models=[resnet18]", "models.resnet18.sizes.resolution=null"],
            ["models.resnet18.sizes.resolution is None", "models.resnet18.sizes.resolution=1"],
        ),
        (["models=[resnet18]", "+models.resnet18.sizes.resolutoin=32"], ["no input of it is", 'mean "resolution"?']),
        (["models=[resnet18]", "models.resnet18.sizes.batch=-1"], ["models.resnet18.sizes.batch is -1", "at least 1"]),
        (["models=[resnet18]", "models.resnet18.size.batch=1"], ['There is no key "models.resnet18.size.batch"']),
        (
            [described("torchvision.models.resnet18", "{name: x, shape: [batch, 3, 8, 8]}")],
            [
                "the extent 'batch', which must be a number above 0 or name one of its sizes (it has none)",
                "Shapes are static: every program of a dataset has one iteration space, so there is no dynamic extent.",
            ],
        ),
        (
            [described("torchvision.models.resnet18", "{name: x, shape: [-1, 3]}")],
            ["the extent -1", "Shapes are static"],
        ),
        (
            [described("torchvision.models.resnet18", "{name: x, shape: [null, 3]}")],
            ["mine.inputs.x has the shape [None, 3]", "Dynamic extents are not possible", "has static shapes."],
        ),
        (
            ["models=[resnet18]", "+models.resnet18.arguments.weights=DEFAULT"],
            [
                "models.resnet18.arguments has 'weights': pretrained weights are not downloaded.",
                "Networks have random weights from the seed; trained ones can be converted through NeuralNetworkToMLIR",
            ],
        ),
        (
            ["models=[resnet18]", "+models.resnet18.arguments.weights_backbone=DEFAULT"],
            ["arguments has 'weights_backbone': pretrained weights are not downloaded."],
        ),
        (
            [described("resnet18")],
            ["models.mine.class is 'resnet18', and must name a class with its module, such as torchvision.models."],
        ),
        ([described("torchvision.models.resnet18", dtype="f32")], ['no key "dtype" in models.mine']),
        (
            [described("torchvision.models.resnet18", "{name: x, shape: [2], dtype: f8}")],
            ["models.mine.inputs.x.dtype is 'f8'", "f32, f64, i64, i32, i1"],
        ),
        (
            ["+models.mine={class: torchvision.models.resnet18}"],
            ["models.mine.inputs is None, and must be a list with"],
        ),
        (["+models.my-net={class: torchvision.models.resnet18}"], ["models has 'my-net', and a model's name becomes"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_bad_setting(settings, parts):
    message = said(settings)
    for part in parts:
        assert part in message
    assert "\n" not in message


def test_an_unknown_model_on_the_command_line(tmp_path):
    done = run_script("generate", "models=[resnet81]", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert 'Did you mean "resnet18"?' in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def failure(setting, *others, converter="torch_mlir", level="parse"):
    """Return why a run, which trusts the planted networks, rejects a network; in this process, without its limits."""
    config = compose_config(["ops=[]", setting, f"converter={converter}", *others])
    (spec,) = config.models.values()
    outcome = in_process(NetworkJob(spec, 0, config.converter, ("planted_networks",), level, None))
    assert isinstance(outcome, Failure)
    assert outcome.stage == "emitted"
    assert "\n" not in outcome.reason
    return outcome.reason


def in_process(job):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.disable", lambda level: None)
        patch.setenv("TMPDIR", os.environ.get("TMPDIR", ""))
        threads = torch.get_num_threads()
        try:
            return convert_network(job)
        finally:
            torch.set_num_threads(threads)


def refusal(folder, model, shape, **settings):
    """Return why the Python call refuses a network, and make sure that it wrote nothing."""
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(folder).convert_model(model, shape, "mine", **settings)
    assert not list(folder.rglob("*.*"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def line_of(code):
    """Return the number of the first line of the planted networks that begins so."""
    lines = Path(planted_networks.__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(code))


CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


@CONVERTERS
def test_a_wrong_input_shape(use_torch_mlir, tmp_path):
    expected = (
        "mine cannot be run with these inputs (image: [1, 4, 8, 8] f32): RuntimeError: Given groups=1, weight of size "
        "[4, 3, 3, 3], expected input[1, 4, 8, 8] to have 3 channels, but got 4 channels instead (at "
        "planted_networks.py:{line}: features = self.layers(image).mean((2, 3))). Are the shapes those that it expects?"
    ).format(line=line_of("features ="))
    assert refusal(tmp_path, Small(), (1, 4, 8, 8), use_torch_mlir=use_torch_mlir) == expected
    setting = described("planted_networks.Small", "{name: image, shape: [1, 4, 8, 8]}")
    assert failure(setting, converter="torch_mlir" if use_torch_mlir else "manual") == expected


def test_a_wrong_element_type(tmp_path):
    message = refusal(tmp_path, nn.Embedding(3, 4), (2,))
    assert message.startswith(
        "mine cannot be run with these inputs (input: [2] f32): RuntimeError: Expected tensor for"
    )


def test_an_input_that_the_forward_method_has_not(tmp_path):
    assert refusal(tmp_path, Small(), [IMAGE, IMAGE]) == "Small.forward takes 1 inputs (image), and 2 shapes are given."
    message = failure(described("planted_networks.Small", "{name: picture, shape: [1, 3, 8, 8]}"))
    assert message.startswith("mine cannot be run with these inputs (picture: [1, 3, 8, 8] f32): TypeError: ")
    assert "unexpected keyword argument 'picture'" in message


@CONVERTERS
def test_control_flow_that_depends_on_data(use_torch_mlir, tmp_path):
    expected = (
        "mine has control flow that depends on the values of its inputs (at planted_networks.py:{}), and a program of "
        "linalg operations has none. Decide by shapes, or use torch.where."
    )
    place = f"{line_of('if x.sum() > 0:')}: if x.sum() > 0:"
    assert refusal(tmp_path, Branches(), (2, 3), use_torch_mlir=use_torch_mlir) == expected.format(place)
    setting = described("planted_networks.Branches")
    assert failure(setting, converter="torch_mlir" if use_torch_mlir else "manual") == expected.format(place)


@CONVERTERS
def test_shapes_that_depend_on_data(use_torch_mlir, tmp_path):
    expected = (
        "mine has a tensor whose shape depends on the values of its inputs (at planted_networks.py:{}: "
        "return x[x > 0] / 2), and every program of a dataset has static shapes. Select by torch.where, which keeps "
        "the shape."
    ).format(line_of("return x[x > 0]"))
    assert refusal(tmp_path, Selects(), (2, 3), use_torch_mlir=use_torch_mlir) == expected


@pytest.mark.parametrize("shape", [(None, 3), (-1, 3), ("batch", 3), (0, 3), (2.0, 3), 3])
def test_dynamic_shapes(shape, tmp_path):
    assert refusal(tmp_path, Scans(), shape) == (
        f"input_shape has {shape!r}, and must be a tuple of numbers above 0, such as (1, 3, 224, 224). Dynamic shapes "
        "are not supported: a program has one iteration space, and its cost and its baseline are of that one."
    )


@pytest.mark.parametrize(
    "given", [{"x": {"a": (2, 3)}}, [{"a": torch.ones(2, 3)}], [{"a": (2, 3)}], [[(2, 3), (2, 3)]]], ids=str
)
def test_an_input_that_is_no_tensor(given, tmp_path):
    said = refusal(tmp_path, Scans(), given)
    assert "for one input, which must have a shape, such as (1, 3, 224, 224), or an example tensor" in said
    assert "Dynamic" not in said


def test_operators_that_cannot_be_converted(tmp_path):
    assert refusal(tmp_path, Scatters(), (2, 3), use_torch_mlir=True) == (
        "mine failed at the stage 'emitted': torch-mlir gives tm_tensor.scatter, which is not of a dialect of upstream "
        f"MLIR, for the operator aten.scatter.src ({planted_networks.__file__}:"
        f"{line_of('return x.scatter')}: return x.scatter(1, x.argmax(1, keepdim=True), x))"
    )
    message = refusal(tmp_path, Spectrum(), (2, 3), use_torch_mlir=True)
    assert message.startswith("mine failed at the stage 'emitted': torch-mlir: failed to legalize operation 'torch.")
    message = refusal(tmp_path, Spectrum(), (2, 3), use_torch_mlir=False)
    assert message.startswith("The manual converter has no handler for the operator aten._fft_r2c.default, which")
    assert "return torch.fft.fft(x).real" in message
    assert message in failure(described("planted_networks.Spectrum"), converter="manual")


@CONVERTERS
def test_a_network_that_gives_no_tensor(use_torch_mlir, tmp_path):
    message = refusal(tmp_path, GivesNothing(), (2, 3), use_torch_mlir=use_torch_mlir)
    assert message == "mine returns no tensor, so that its program would compute nothing."


def test_not_enough_memory(tmp_path, monkeypatch):
    advice = (
        "There is not enough memory to convert mine. Give it a smaller batch or smaller inputs, or leave its weights "
        "out of the text (weights='arguments')."
    )
    # More than any machine has, once for the input and once within the network.
    assert refusal(tmp_path, Scans(), (1 << 30, 1 << 30)) == advice

    def no_memory(*arguments, **settings):
        raise MemoryError

    monkeypatch.setattr("mlir_datagen.networks.given_network.convert", no_memory)
    assert refusal(tmp_path, Scans(), (2, 3)) == advice
    setting = described("planted_networks.Scans", "{name: x, shape: [1073741824, 1073741824]}")
    assert failure(setting) == "it needs more memory than converter.memory_bytes, 17179869184"


def test_an_output_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = generate(tmp_path, "ops=[]", SMALL, TRUSTED, "output_dir=file/outputs")
    assert done.returncode == 2
    assert "file/outputs" in done.stderr
    assert "cannot be used" in " ".join(done.stderr.split())
    for folder in (tmp_path / "file", tmp_path / "file" / "nets", "/proc/nets"):
        with pytest.raises(
            UserError, match=rf"{folder} cannot be used: .+\. Choose a folder that can be: output_dir=…"
        ):
            NeuralNetworkToMLIR(folder).convert_model(Scans(), (2, 3), "mine")


def test_an_output_folder_without_permission(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    # The system's administrator may write everywhere, unless he gives that up.
    powers = "-dac_override,-dac_read_search"
    as_a_user = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.geteuid() == 0 else []
    code = (
        "import mlir_datagen, torch\n"
        f"mlir_datagen.NeuralNetworkToMLIR({str(locked)!r}).convert_model(torch.nn.Linear(3, 2), (4, 3), 'mine')"
    )
    done = subprocess.run([*as_a_user, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith(f"mlir_datagen.errors.Resumable: {locked} cannot be used: ")
    assert not list(locked.iterdir())


@pytest.mark.parametrize("command", ["generate", "dry run"])
def test_a_class_that_is_not_trusted(command, tmp_path):
    # Another network that could be converted does not make it less of an error: the dataset would stand in the way of
    # the one with both, whose name it has.
    done = generate(tmp_path, "models=[simple_net]", "ops=[]", SMALL, f"dry_run={command == 'dry run'}".lower())
    assert done.returncode == 2
    assert " ".join(done.stderr.split()) == (
        "Error: models.small names planted_networks.Small, and classes outside mlir_datagen, torchvision, transformers "
        "are not imported unless this run trusts their package, since importing runs its code. If you do, type "
        "'trust=[planted_networks]'."
    )
    assert not list(tmp_path.iterdir())


def test_a_config_class_that_is_not_trusted():
    config = compose_config(["ops=[]", described("transformers.BertModel", config="planted_networks.Small")])
    with pytest.raises(UserError, match=r"models\.mine names planted_networks\.Small, and classes outside"):
        build_model(config.models["mine"], 0, ())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("transformers.os.system", "which cannot be imported: No module named 'transformers.os'."),
        ("transformers.utils.import_utils.subprocess.run", "which cannot be imported: No module named 'transformers."),
        ("transformers.utils.import_utils.os", "which is neither a class of a network or of its config, nor one of"),
        ("mlir_datagen.verification.Path", "which is neither a class of a network or of its config, nor one of"),
        ("mlir_datagen.pipeline.run.generate", "which is neither a class of a network or of its config, nor one of"),
        ("torchvision.datasets.utils.download_url", "which is neither a class of a network or of its config"),
        ("torchvision.models.get_model", "which is neither a class of a network or of its config, nor one of"),
        ("torchvision.models.resnet81", 'and torchvision.models has no resnet81. Did you mean "resnet'),
        ("transformers.BertModl", "and transformers has no BertModl. Did you mean"),
        ("transformers.pipeline", "which is neither a class of a network or of its config, nor one of"),
    ],
)
def test_a_trusted_package_does_not_lend_its_trust(path, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (spec,) = compose_config(["ops=[]", described(path, arguments="{command: touch owned}")]).models.values()
    with pytest.raises(UserError) as caught:
        build_model(spec, 0, ())
    assert str(caught.value).startswith(f"models.mine names {path}, ")
    assert expected in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_arguments_that_a_class_refuses():
    (spec,) = compose_config(
        ["ops=[]", described("torchvision.models.resnet18", arguments="{depth: 3}")]
    ).models.values()
    with pytest.raises(UserError) as caught:
        build_model(spec, 0, ())
    assert str(caught.value) == (
        "torchvision.models.resnet18 cannot be built from models.mine.arguments: ResNet.__init__() got an unexpected "
        "keyword argument 'depth'"
    )


def test_a_saved_config_cannot_grant_trust_to_itself(tmp_path):
    (tmp_path / "package").mkdir()
    code = "import pathlib\npathlib.Path({!r}).write_text('')\n"
    (tmp_path / "package" / "hostile.py").write_text(code.format(str(tmp_path / "owned")))
    environment = {"PYTHONPATH": os.pathsep.join([PLANTED["PYTHONPATH"], str(tmp_path / "package")])}
    saved = compose_config(["ops=[]", described("hostile.Network")]).to_saved()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**saved, "trust": ["hostile"]}))
    rerun = ["--config-dir", str(tmp_path), "--config-name", "config"]
    done = run_script("generate", *rerun, cwd=tmp_path, environment=environment)
    assert done.returncode == 2
    assert "type 'trust=[hostile]'" in " ".join(done.stderr.split())
    assert not (tmp_path / "owned").exists()
    # The person can: then its code runs, and it has no such class.
    done = run_script("generate", *rerun, "trust=[hostile]", cwd=tmp_path, environment=environment)
    assert "hostile has no Network" in " ".join(done.stderr.split())
    assert (tmp_path / "owned").exists()


def test_reproducing_needs_trust_too(tmp_path):
    done = generate(tmp_path, "ops=[]", SMALL, TRUSTED, "converter=manual")
    dataset = tmp_path / done.stdout.splitlines()[-1].split(": ")[1]
    assert "planted_networks" not in str(yaml.safe_load((dataset / "config.yaml").read_text())["trust"])
    done = run_script("reproduce", str(dataset), cwd=tmp_path, environment=PLANTED)
    assert done.returncode == 2
    assert "models.small names planted_networks.Small" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"model_name": "my-net"},
            "model_name is 'my-net', and becomes the name of a file and of a function: a letter,",
        ),
        ({"model_name": "../net"}, "model_name is '../net', and becomes the name of a file"),
        ({"model_name": 3}, "model_name is 3, and becomes the name of a file"),
        ({"weights": "frozen"}, "weights is 'frozen', and must be one of arguments, embedded, splat."),
        ({"check": "run"}, "check is 'run', and must be one of parse, lower, execute."),
        ({"input_dtypes": "f16"}, "input_dtypes is 'f16', and must be one of f32, f64, i64, i32, i1."),
        ({"input_dtypes": ["f32", "f32"]}, "input_dtypes has 2 element types, and there are 1 inputs."),
        ({"model": Small}, "model is a type, and must be a torch.nn.Module."),
        ({"model": "resnet18"}, "model is a str, and must be a torch.nn.Module."),
    ],
    ids=str,
)
def test_bad_arguments_of_the_call(settings, expected, tmp_path):
    arguments = {"model": Scans(), "input_shape": (2, 3), "model_name": "mine", **settings}
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(tmp_path).convert_model(**arguments)
    assert str(caught.value).startswith(expected)
    assert not list(tmp_path.rglob("*.*"))


def test_a_run_that_keeps_no_network_says_why(tmp_path):
    done = generate(tmp_path, "ops=[]", planted("branches"), TRUSTED)
    assert done.returncode == 2
    message = " ".join(done.stderr.split())
    assert message.startswith("Error: Not one program was kept, and nothing was left behind. 1 of 1 programs were")
    assert "branches has control flow that depends on the values of its inputs (at planted_networks.py:" in message
    assert not list(tmp_path.iterdir())
