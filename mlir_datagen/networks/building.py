"""Building a network from its spec: an importable class, its arguments, random weights from a seed."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch

from mlir_datagen.errors import UserError, first_line, is_about_memory, nearest
from mlir_datagen.mlir.element_types import torch_dtype
from mlir_datagen.networks.model_spec import TRUSTED, InputSpec, ModelSpec, require_trusted
from mlir_datagen.networks.torchvision_import import import_torchvision

_LIBRARIES = ("torchvision", "transformers")

_SEEDS = 1 << 63


def build_model(spec: ModelSpec, seed: int, trust: Sequence[str]) -> torch.nn.Module:
    """Build a network in evaluation mode, with random weights.

    Args:
        spec: the network.
        seed: decides its weights.
        trust: further packages whose classes may be imported.

    Raises:
        UserError: when its class is not trusted or not to be had, or refuses its arguments.
        MemoryError: when there is not enough memory.
    """
    make = _importable(spec, spec.class_path, trust)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed % _SEEDS)
        try:
            # Some of torchvision's constructors warn of their own future defaults.
            warnings.simplefilter("ignore", FutureWarning)
            if spec.config_path is None:
                model = make(**spec.arguments)
            else:
                model = make(_importable(spec, spec.config_path, trust)(**spec.arguments))
        except UserError:
            raise
        except Exception as error:
            # Constructors raise what they like.
            if is_about_memory(error):
                raise MemoryError(first_line(error)) from error
            raise UserError(
                f"{spec.class_path} cannot be built from models.{spec.name}.arguments: {first_line(error)}"
            ) from error
    if not isinstance(model, torch.nn.Module):
        raise UserError(
            f"{spec.class_path} makes an object of the type {type(model).__name__}, and models.{spec.name} needs a "
            "torch.nn.Module."
        )
    return model.eval()


def example_inputs(spec: ModelSpec, seed: int) -> dict[str, torch.Tensor]:
    """Return random inputs of a network, by name, in order.

    Raises:
        UserError: when a shape is not static.
    """
    generator = torch.Generator().manual_seed(seed % _SEEDS)
    return {input_.name: _random_input(spec, input_, generator) for input_ in spec.inputs}


def _random_input(spec: ModelSpec, input_: InputSpec, generator: torch.Generator) -> torch.Tensor:
    shape, dtype = spec.shape(input_), torch_dtype(input_.dtype)
    if input_.value is not None:
        return torch.full(shape, input_.value, dtype=dtype)
    return random_tensor(shape, dtype, generator, 2 if input_.below is None else spec.extent(input_.below))


def random_tensor(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator, below: int = 2) -> torch.Tensor:
    """Return a random input of a network: from -1 to 1, or integers from 0 on, which may be indices, below a number."""
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1
    return torch.randint(below, shape, generator=generator).to(dtype)


def _importable(spec: ModelSpec, path: str, trust: Sequence[str]) -> Callable[..., Any]:
    """Return the class or function of that name, if it belongs to a trusted package."""
    require_trusted(spec, trust)
    package, _, _ = path.partition(".")
    if package in _LIBRARIES:
        _import_library(package, path)
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # What a package does when it is imported may fail in any way.
        raise UserError(f"models.{spec.name} names {path}, which cannot be imported: {first_line(error)}.") from error
    found = getattr(module, name, None)
    if found is None:
        raise UserError(
            f"models.{spec.name} names {path}, and {module_name} has no {name}.{nearest(name, dir(module))}"
        )
    if not _is_allowed(found, path, trust):
        raise UserError(
            f"models.{spec.name} names {path}, which is neither a class of a network or of its config, nor one of "
            "torchvision's functions that build one."
        )
    return found  # type: ignore[no-any-return]


def _import_library(package: str, path: str) -> None:
    """Import one of the libraries of networks, or say how to install it."""
    if find_spec(package) is None:
        raise UserError(f"{path} needs {package}, which is not installed: pip install 'mlir_datagen[networks]'.")
    # transformers imports it too, where it is installed.
    if find_spec("torchvision") is not None:
        import_torchvision()


def _is_allowed(found: Any, path: str, trust: Sequence[str]) -> bool:
    """Tell whether something that a config names may be called: nothing that a trusted package only imports."""
    home = getattr(found, "__module__", None) or ""
    if home.partition(".")[0] not in (*TRUSTED, *trust):
        return False
    if path.partition(".")[0] in trust:
        return callable(found)
    if isinstance(found, type):
        return issubclass(found, torch.nn.Module) or found.__name__.endswith("Config")
    return path.startswith("torchvision.models.") and _is_registered(path.rpartition(".")[2], found)


def _is_registered(name: str, found: Any) -> bool:
    from torchvision import models

    registered: Mapping[str, Any] = {name: models.get_model_builder(name) for name in models.list_models()}
    return registered.get(name) is found
