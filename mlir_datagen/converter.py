"""The other Python call of the original README: a PyTorch network to MLIR."""

from __future__ import annotations

import copy
import math
import operator
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mlir_datagen.config.models import MODEL_NAME
from mlir_datagen.config.values import choice
from mlir_datagen.dataset.network_folder import add_network, check_addable
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.nn.model_spec import INPUT_DTYPES, WEIGHTS
from mlir_datagen.nn.signature import Converted
from mlir_datagen.program import Program
from mlir_datagen.proving.job import LEVELS, Proof

if find_spec("torch") is None:
    raise UserError("Networks need PyTorch, which is not installed: pip install 'mlir_datagen[networks]'.")
if find_spec("torchvision") is not None:
    from mlir_datagen.nn.torchvision_import import import_torchvision

    # So that `from torchvision.models import resnet18` works after this one, beside a PyTorch for the processor alone.
    import_torchvision()

if TYPE_CHECKING:
    import torch

Shape = Sequence[int]
_MOST_ELEMENTS = 1 << 59
"""Of a tensor; the number of bytes of a larger one would not fit into 64 bits."""
UNVERIFIED = "unverified"
"""The level of a program that no parser has seen, since torch-mlir is not installed."""


class NeuralNetworkToMLIR:
    """Converts PyTorch networks to MLIR: linalg operations on tensors of static shape.

    Each call writes `<model_name>.mlir` and a row of `index.parquet`, which has the function's signature.

    Args:
        output_dir: the folder, made when missing.

    Raises:
        UserError: when it is no path.
    """

    def __init__(self, output_dir: str | Path = "data/neural_nets") -> None:
        if not isinstance(output_dir, (str, os.PathLike)):
            raise UserError(
                f"output_dir is {output_dir!r}, and must be the path of a folder, such as 'data/neural_nets'."
            )
        self.output_dir = Path(output_dir)

    def convert_model(
        self,
        model: torch.nn.Module,
        input_shape: Shape | Sequence[Shape | torch.Tensor],
        model_name: str,
        use_torch_mlir: bool | None = None,
        *,
        input_dtypes: str | Sequence[str] = "f32",
        weights: str = "arguments",
        check: str = "parse",
        save_weights: bool = False,
    ) -> Path:
        """Convert one network.

        Args:
            model: the network; it is converted as in evaluation mode, and not changed.
            input_shape: the shape of its input; or a list with a shape, or an example tensor, for each of its inputs.
            model_name: the name of the file and of the function.
            use_torch_mlir: True for torch-mlir, False for this package's own converter, which gives named operations.
                Left out, it is torch-mlir where that is installed.
            input_dtypes: the element type of the inputs that are given as shapes, or one for each input: f32, f64, i64,
                i32, i1. Integers are 0 or 1; give an example tensor for others.
            weights: `arguments` of the function; `embedded`, constants in the text; `splat`, constants of one value
                each.
            check: `parse`, `lower`, or `execute`, which runs the program on the model's weights, and where these hide
                something on others, and compares its results with PyTorch's. It warns of what shows in none of them.
            save_weights: whether the parameters and buffers are written too, as `weights/<model_name>.safetensors`.

        Returns:
            The path of the `.mlir` file.

        Raises:
            UserError: when the network cannot be converted, or fails the check; it says why. It is a ValueError.
        """
        if not isinstance(model_name, str) or not MODEL_NAME.fullmatch(model_name):
            raise UserError(
                f"model_name is {model_name!r}, and becomes the name of a file and of a function: a letter, then "
                "letters, digits and underscores, 64 at most."
            )
        choice(weights, "weights", WEIGHTS)
        choice(check, "check", LEVELS)
        converter = _converter(use_torch_mlir, check)
        check_addable(self.output_dir, model_name)
        with _evaluated(model, weights) as network:
            with _for_people(model_name):
                inputs = _inputs(network, input_shape, input_dtypes)
                program = _program(network, inputs, model_name, converter, weights, check)
            return add_network(self.output_dir, program, network if save_weights else None)


def _converter(use_torch_mlir: bool | None, check: str) -> str:
    """Return which converter is used, one of `CONVERTERS`."""
    if use_torch_mlir is not None and not isinstance(use_torch_mlir, bool):
        raise UserError(
            f"use_torch_mlir is {use_torch_mlir!r}, and must be True for torch-mlir, False for this package's own "
            "converter, or left out."
        )
    installed = find_spec("torch_mlir") is not None
    if not installed and (use_torch_mlir or check != "parse"):
        what = "use_torch_mlir=True" if use_torch_mlir else f"check={check!r}"
        raise UserError(
            f"{what} needs torch-mlir, which is not installed: pip install torch-mlir. Without it, "
            "use_torch_mlir=False converts with this package's own converter, and the result is marked as unverified."
        )
    return "torch_mlir" if installed and use_torch_mlir is not False else "manual"


def _program(
    network: torch.nn.Module, inputs: Mapping[str, Any], name: str, converter: str, weights: str, check: str
) -> Program:
    from mlir_datagen.nn.conversion import convert

    converted = convert(network, inputs, name, converter, constant=weights != "arguments")
    proof = _proof(network, inputs, name, converted, check)
    flops = None
    if proof.level != UNVERIFIED:
        from mlir_datagen.mlir.cost import module_flops
        from mlir_datagen.mlir.parse import Contexts

        flops = module_flops(converted.text, Contexts().next())
    made_of = f"{type(network).__module__}.{type(network).__qualname__}"
    return Program(
        name=name,
        source="network",
        family="network",
        kind=converter,
        spec=orjson.dumps({"name": name, "converter": {"kind": converter, "weights": weights}}).decode(),
        seed=0,
        text=converted.text,
        arguments=converted.arguments,
        results=converted.results,
        loops=(),
        flops=flops,
        proof=proof,
        provenance=orjson.dumps({"model": name, "class": made_of}).decode(),
    )


def _proof(network: torch.nn.Module, inputs: Mapping[str, Any], name: str, converted: Converted, check: str) -> Proof:
    """Check a converted network as far as is asked for, and as is possible."""
    if find_spec("torch_mlir") is None:
        return Proof(UNVERIFIED, None, None, ())
    from mlir_datagen.mlir.parse import Contexts, Verifier

    Verifier().verify(converted.text)
    if check == "parse":
        return Proof(check, None, None, ())
    from mlir_datagen.mlir.lower import lower

    if check == "lower":
        lower(converted.text, Contexts().next())
        return Proof(check, None, None, ())
    from mlir_datagen.nn.oracle.reference import expected_results
    from mlir_datagen.nn.oracle.running import run
    from mlir_datagen.nn.oracle.verdict import judge

    # First, since a program may crash this process on inputs that PyTorch refuses.
    expected = expected_results(network, inputs, name, converted)
    lowered = lower(converted.text, Contexts().next())
    verdict = judge(run(lowered, converted, [case.arguments for case in expected.cases]), converted.results, expected)
    if verdict.unshown:
        warnings.warn(verdict.warning(name), stacklevel=4)
    return verdict.proof()


@contextmanager
def _evaluated(model: Any, weights: str) -> Iterator[torch.nn.Module]:
    """Have a network in evaluation mode and on the processor, and leave it as it was."""
    import torch

    from mlir_datagen.nn.state import require_values, splat, state_tensors

    if not isinstance(model, torch.nn.Module):
        raise UserError(f"model is a {type(model).__name__}, and must be a torch.nn.Module.")
    require_values(model)
    elsewhere = any(one.tensor.device.type != "cpu" for one in state_tensors(model))
    network = copy.deepcopy(model).cpu() if elsewhere or weights == "splat" else model
    if weights == "splat":
        splat(network)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield network
    finally:
        for module, training in modes:
            module.training = training


def _inputs(network: torch.nn.Module, given: Any, dtypes: str | Sequence[str]) -> dict[str, Any]:
    """Return example inputs by name: random ones for shapes, and tensors as they are."""
    import torch

    from mlir_datagen.nn.building import DTYPES
    from mlir_datagen.nn.capture import input_names

    several = isinstance(given, (list, tuple)) and any(isinstance(one, (list, tuple, torch.Tensor)) for one in given)
    inputs = list(given) if several else [given]
    # What is no list is refused as an element type is that there is not.
    kinds = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes] * len(inputs)
    if len(kinds) != len(inputs):
        raise UserError(f"input_dtypes has {len(kinds)} element types, and there are {len(inputs)} inputs.")
    generator = torch.Generator().manual_seed(0)
    tensors = []
    for one, kind in zip(inputs, kinds, strict=True):
        if isinstance(one, torch.Tensor):
            tensors.append(one.detach().cpu())
            continue
        dtype = DTYPES[choice(kind, "input_dtypes", INPUT_DTYPES)]
        shape = _static_shape(one)
        tensors.append(
            torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1
            if dtype.is_floating_point
            else torch.randint(2, shape, generator=generator).to(dtype)
        )
    return dict(zip(input_names(network, len(tensors)), tensors, strict=True))


def _static_shape(shape: Any) -> tuple[int, ...]:
    try:
        extents = tuple(operator.index(extent) for extent in shape)
    except TypeError:
        extents = (0,)
    if not all(extent > 0 for extent in extents) or shape == []:
        raise UserError(
            f"input_shape has {shape!r}, and must be a tuple of numbers above 0, such as (1, 3, 224, 224). Dynamic "
            "shapes are not supported: a program has one iteration space, and its cost and its baseline are of that "
            "one."
        )
    if math.prod(extents) > _MOST_ELEMENTS:
        # PyTorch would not even come to try.
        raise MemoryError
    return extents


@contextmanager
def _for_people(name: str) -> Iterator[None]:
    """Turn why a network was not converted into a message for people."""
    from mlir_datagen.nn.building import is_about_memory

    try:
        yield
    except Rejection as rejection:
        raise UserError(f"{name} failed at the stage {rejection.stage!r}: {rejection.reason}") from rejection
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not is_about_memory(error):
            raise
        raise UserError(
            f"There is not enough memory to convert {name}. Give it a smaller batch or smaller inputs, or leave its "
            "weights out of the text (weights='arguments')."
        ) from error
