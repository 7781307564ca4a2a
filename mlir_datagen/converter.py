"""The other Python call of the original README: a PyTorch network to MLIR."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlir_datagen import values
from mlir_datagen.config.models import MODEL_NAME
from mlir_datagen.dataset.network_folder import add_network, check_addable
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.networks.fallback import FIRST, SECOND
from mlir_datagen.networks.model_spec import AUTO, DEFAULT_MEMORY_BYTES, DEFAULT_SECONDS, WEIGHTS
from mlir_datagen.programs.proof import LEVELS
from mlir_datagen.progress import StageLine
from mlir_datagen.proving.settings import SandboxLimits
from mlir_datagen.values import choice

if find_spec("torch") is None:
    raise UserError("Networks need PyTorch, which is not installed: pip install 'mlir_datagen[networks]'.")
if find_spec("torchvision") is not None:
    from mlir_datagen.networks.torchvision_import import import_torchvision

    # So that `from torchvision.models import resnet18` works after this one, beside a PyTorch for the processor alone.
    import_torchvision()

if TYPE_CHECKING:
    import torch

    from mlir_datagen.networks.given_inputs import Given


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
        input_shape: Given,
        model_name: str,
        use_torch_mlir: bool | None = None,
        *,
        input_dtypes: str | Sequence[str] | Mapping[str, str] = "f32",
        weights: str = "arguments",
        check: str = "parse",
        save_weights: bool = False,
        seconds: int = DEFAULT_SECONDS,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> Path:
        """Convert one network.

        PyTorch captures it in this process. All that comes after that is done in a process of its own, which may crash
        without taking this one along.

        Args:
            model: the network; it is converted as in evaluation mode, and not changed.
            input_shape: the shape of its input; or a list with a shape, or an example tensor, for each of its inputs;
                or a mapping from their names to these.
            model_name: the name of the file and of the function.
            use_torch_mlir: True for torch-mlir, False for this package's own converter, which gives named operations.
                Left out, it is torch-mlir where that is installed, and this package's own for a network that torch-mlir
                fails on; the column `kind` of the index says which it was.
            input_dtypes: the element type of the inputs that are given as shapes, or one for each input, or a mapping
                from names to them: f32, f64, i64, i32, i1. Integers are 0 or 1; give an example tensor for others.
            weights: `arguments` of the function; `embedded`, constants in the text; `splat`, constants of one value
                each.
            check: `parse`, `lower`, or `execute`, which runs the program on the model's weights, and where these hide
                something on others, and compares its results with PyTorch's. It warns of what shows in none of them.
            save_weights: whether the parameters and buffers are written too, as `weights/<model_name>.safetensors`.
            seconds: of processor time that all after the capture may take, with each converter that is tried.
            memory_bytes: the memory that it may take.

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
        limits = SandboxLimits(
            values.processor_seconds(seconds, "seconds"),
            values.memory_bytes(memory_bytes, "memory_bytes"),
        )
        kind = _kind(use_torch_mlir, check)
        check_addable(self.output_dir, model_name)
        # Only here: they import PyTorch and more.
        from mlir_datagen.networks.given_inputs import example_tensors
        from mlir_datagen.networks.given_network import GivenNetwork
        from mlir_datagen.networks.quiet import working_threads
        from mlir_datagen.networks.state import stored_state

        with working_threads(), _evaluated(model, weights) as network:
            with _for_people(model_name), StageLine(model_name) as line:
                inputs = example_tensors(network, input_shape, input_dtypes)
                program = GivenNetwork(network, inputs, model_name, weights, check, limits, line).program(kind)
            if program.remark:
                warnings.warn(program.remark, stacklevel=2)
            state = stored_state(network, program.arguments) if save_weights else None
            return add_network(self.output_dir, program, state)


def _kind(use_torch_mlir: bool | None, check: str) -> str:
    """Return which converter is used: one of `CONVERTERS`, or `AUTO`."""
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
    if use_torch_mlir is None:
        return AUTO if installed else SECOND
    return FIRST if use_torch_mlir else SECOND


@contextmanager
def _evaluated(model: Any, weights: str) -> Iterator[torch.nn.Module]:
    """Have a network in evaluation mode and on the processor, and leave it as it was."""
    import torch

    from mlir_datagen.networks.state import require_values, splat, state_tensors

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


@contextmanager
def _for_people(name: str) -> Iterator[None]:
    """Turn why a network was not converted into a message for people."""
    from mlir_datagen.errors import is_about_memory

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
