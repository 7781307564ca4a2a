"""The fixed lists of conf/suites/: held against mlir-opt, torchvision's networks and what their names say."""

from __future__ import annotations

import re

import pytest
import yaml
from helpers import REPOSITORY, run_mlir_opt
from mlir19 import EVALUATION_NAMES

from mlir_datagen.export.mlir_rl.contract import program_problems
from mlir_datagen.export.mlir_rl.names import Names
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.mlir.timed_main import Timer
from mlir_datagen.networks.torchvision_import import import_torchvision
from mlir_datagen.ops import FAMILIES

SUITES = ("mlir_rl_eval", "gemm", "conv")

OPERATIONS = {
    "add": "linalg.add",
    "relu": "linalg.generic",
    "matmul": "linalg.matmul",
    "batch_matmul": "linalg.batch_matmul",
    "conv_2d_nchw_fchw": "linalg.conv_2d_nchw_fchw",
    "pooling_nchw_max": "linalg.pooling_nchw_max",
}
NAME = re.compile(r"(?P<kind>add|relu|matmul|batch_matmul|conv_2d_nchw_fchw|pooling_nchw_max)(?P<sizes>(_\d+)+)")


class OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML's own loader keeps the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(keys)) == len(keys), sorted(key for key in keys if keys.count(key) > 1)
        return super().construct_mapping(node, deep)


def suite(name):
    text = (REPOSITORY / "conf" / "suites" / f"{name}.yaml").read_text()
    assert text.splitlines()[0] == f"# @package suites.{name}"  # Hydra reads it from the first line only.
    return yaml.load(text, OnceLoader)


def family_and_spec(entry):
    """Return an entry's family and spec; strides and dilations that it leaves out are 1."""
    family = FAMILIES[entry["op"]]
    ones = {axis: 1 for axis in family.axes if axis.startswith(("stride", "dilation"))}
    return family, family.spec_from_json({**ones, **{key: value for key, value in entry.items() if key != "op"}})


def programs(name):
    """Return name, family, spec and text of each of a suite's programs."""
    made = []
    for program, entry in suite(name)["programs"].items():
        family, spec = family_and_spec(entry)
        made.append((program, family, spec, family.program(spec)))
    return made


def shapes_of_name(kind, sizes):
    """Return the shapes of the operands, the last one of the result, and the strides of the operation of a name."""
    if kind in ("add", "relu"):
        return [sizes] * (3 if kind == "add" else 2), None
    if kind in ("matmul", "batch_matmul"):
        *batch, m, k, n = sizes
        return [(*batch, m, k), (*batch, k, n), (*batch, m, n)], None
    if kind == "conv_2d_nchw_fchw":
        n, c, height, width, f, *window, out_height, out_width = sizes
        operands = [(n, c, height, width), (f, c, *window), (n, f, out_height, out_width)]
    else:
        n, c, height, width, k, out_height, out_width = sizes
        window = (k, k)
        operands = [(n, c, height, width), (k, k), (n, c, out_height, out_width)]
    sides = zip((height, width), window, (out_height, out_width), strict=True)
    # The largest stride with this result, which MLIR-RL's tools take it to be.
    return operands, [1 if result == 1 else (extent - size) // (result - 1) for extent, size, result in sides]


@pytest.mark.parametrize("name", SUITES)
def test_the_form(name):
    found = suite(name)
    assert set(found) == {"version", "digest", "programs"}
    assert (type(found["version"]), found["version"] >= 1) == (int, True)
    assert found["digest"] is None or re.fullmatch("[0-9a-f]{64}", found["digest"])
    assert all(re.fullmatch("[A-Za-z0-9_]+", program) for program in found["programs"])


def test_the_evaluation_set_is_that_of_mlir_rl():
    assert list(suite("mlir_rl_eval")["programs"]) == EVALUATION_NAMES


@pytest.mark.parametrize("name", SUITES)
def test_each_is_a_program_of_its_family_and_unlike_the_others(name):
    made = programs(name)
    verifier = Verifier()
    for program, family, spec, text in made:
        assert family.problem(spec) is None, program
        verifier.verify(text)
    assert len({text for *_, text in made}) == len(made)


@pytest.mark.parametrize("name", SUITES)
def test_mlir_19_reads_what_the_names_say(name):
    """The shapes and strides are taken from what mlir-opt prints, which also holds that it parses."""
    made = programs(name)
    done = run_mlir_opt(19, [text for *_, text in made])
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split("// -----\n")
    assert len(printed) == len(made)
    for (program, *_), text in zip(made, printed, strict=True):
        named = NAME.fullmatch(program)
        operands, strides = shapes_of_name(named["kind"], tuple(map(int, named["sizes"][1:].split("_"))))
        (line,) = [line for line in text.splitlines() if f" {OPERATIONS[named['kind']]} " in line]
        written = re.search(r"ins\((.*?)\) outs\((.*?)\)", line)
        types = re.findall(r"tensor<([\dx]+)xf32>", f"{written[1]} {written[2]}")
        assert [tuple(map(int, shape.split("x"))) for shape in types] == list(operands), program
        if strides is not None:
            one = f"[{strides[0]}, {strides[1]}]" if len(set(strides)) > 1 else str(strides[0])
            assert f"strides = dense<{one}> : tensor<2xi64>" in line, program
            assert "dilations = dense<1> : tensor<2xi64>" in line, program


@pytest.mark.parametrize("name", SUITES)
def test_mlir_rl_gets_them_under_their_names(name):
    timer, names = Timer(), Names()
    for program, family, _, text in programs(name):
        timed = timer.timed(text)
        assert program_problems(timed.facts) == []
        assert names.give(family.name, "0" * 64, timed.facts.linalg[0]) == program


def test_the_relus_are_maxima_with_zero():
    for program, _, _, text in programs("mlir_rl_eval"):
        if program.startswith("relu"):
            assert re.search(r"(%\d+) = arith.constant 0\.0 : f32\n.*arith\.maximumf %in, \1 : f32", text, re.DOTALL)


def convolutions_of(model, extent):
    """Return (in, out, extent with padding, kernel, stride) of a torchvision network's convolutions, all square."""
    import torch

    found = set()

    def note(layer, arguments):
        assert layer.groups == 1
        assert layer.dilation == (1, 1)
        (padding,) = set(layer.padding)
        (height,) = set(arguments[0].shape[2:])
        (kernel,) = set(layer.kernel_size)
        (stride,) = set(layer.stride)
        found.add((layer.in_channels, layer.out_channels, height + 2 * padding, kernel, stride))

    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_pre_hook(note)
    with torch.no_grad():
        model.eval()(torch.empty((1, 3, extent, extent), device="meta"))
    return found


def googlenet(models):
    """Return torchvision's GoogLeNet with the paper's windows of 5 x 5, in the place of which it has 3 x 3."""
    import torch

    model = models.googlenet(init_weights=False, aux_logits=False)
    inceptions = [block for block in model.modules() if type(block).__name__ == "Inception"]
    assert len(inceptions) == 9
    for block in inceptions:
        layer = block.branch3[1].conv
        assert layer.kernel_size == (3, 3)
        block.branch3[1].conv = torch.nn.Conv2d(layer.in_channels, layer.out_channels, 5, padding=2, bias=False)
    return model


def test_the_convolutions_are_those_of_the_networks():
    import torch

    models = import_torchvision().models
    with torch.device("meta"):
        whole = [convolutions_of(make(), 224) for make in (models.alexnet, models.vgg16, models.resnet50)]
        parts = [convolutions_of(googlenet(models), 224), convolutions_of(models.densenet121(), 224)]
        parts.append(convolutions_of(models.squeezenet1_0(), 227))
    ours = set()
    for _, _, spec, _ in programs("conv"):
        size = spec.fields
        assert (size["batch"], size["dilation_height"], size["dilation_width"]) == (1, 1, 1)
        sides = {
            (size["height"], size["kernel_height"], size["stride_height"]),
            (size["width"], size["kernel_width"], size["stride_width"]),
        }
        ((extent, kernel, stride),) = sides
        ours.add((size["in_channels"], size["out_channels"], extent, kernel, stride))
    assert set().union(*whole) <= ours <= set().union(*whole, *parts)
    assert all(len(ours & network) > 5 for network in parts)
