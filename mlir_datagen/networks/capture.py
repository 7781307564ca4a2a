"""Capturing a network's graph with torch.export, and saying why that fails."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mlir_datagen.errors import UserError, first_line, is_about_memory, listed, nearest
from mlir_datagen.mlir.element_types import of_torch
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.networks.changes import change_refused, changed_state, giving_tensors
from mlir_datagen.networks.manual.errors import source_line
from mlir_datagen.networks.quiet import quiet
from mlir_datagen.networks.state import StateTensor

PROGRAM_DTYPES = ("f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8", "i1")
"""Element types that programs of networks may have."""
_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_PYTHON = f"{sysconfig.get_path('stdlib')}{os.sep}"
_DATA_DEPENDENT = ("data-dependent", "data dependent", "DataDependent")
_CONTROL_FLOW = ("cond", "while_loop", "map", "map_impl", "scan", "associative_scan")
"""Operators that call parts of a graph, as the data decide or in loops."""


def capture(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    name: str,
    state: Sequence[StateTensor] = (),
) -> torch.export.ExportedProgram:
    """Return the graph of a network, captured on example inputs; it gives the tensors that `tensors_of` finds.

    Args:
        module: the network, in evaluation mode.
        inputs: by the name of the forward method's argument.
        name: what the network is called in messages.
        state: parameters and buffers that the forward method takes after the inputs, all of them by position.

    Raises:
        UserError: when the network refuses the inputs, replaces a parameter or a buffer, or its control flow or shapes
            depend on values.
        MemoryError: when there is not enough memory.
    """
    arguments, keywords = _as_called(module, inputs)
    with quiet(), explained(name, inputs), giving_tensors(module):
        exported = torch.export.export(module, (*arguments, *(one.tensor for one in state)), keywords)
        _refuse_control_flow(exported, name)
        _refuse_dynamic_shapes(exported, name)
    return exported


def changed_inputs(
    exported: torch.export.ExportedProgram,
    module: torch.nn.Module,
    inputs: Sequence[str],
    state: Sequence[StateTensor],
) -> list[str]:
    """Return the inputs that a decomposed network changes in place, all of whose inputs were given by position.

    Args:
        exported: the network.
        module: the same as it was captured.
        inputs: the names of its inputs.
        state: parameters and buffers that it takes after them.

    Raises:
        UserError: when it changes one of these too, which a function on tensors cannot.
    """
    names = dict(zip(exported.graph_signature.user_inputs, [*inputs, *(one.name for one in state)], strict=True))
    places = list(names)[: len(inputs)]
    changed = changed_state(exported)
    for place in changed:
        if place not in places:
            raise change_refused(module, names.get(place, place))
    return [names[place] for place in changed]


@contextmanager
def explained(name: str, inputs: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Turn what PyTorch says about a network that cannot run or be captured into a message for people."""
    try:
        yield
    except (MemoryError, UserError):
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if is_about_memory(error):
            raise MemoryError(first_line(error)) from error
        if any(sign in said for sign in _DATA_DEPENDENT):
            raise UserError(
                f"{name} has control flow that depends on the values of its inputs{_place(error)}, and a program of "
                "linalg operations has none. Decide by shapes, or use torch.where."
            ) from error
        if "fake tensor in the exported program" in said:
            raise UserError(
                f"{name} changes a tensor of its own behind PyTorch's back in its forward method, as through .data, "
                "which a function on tensors cannot. Let it compute with a copy, as with tensor.clone()."
            ) from error
        shapes = listed(
            f"{key}: {list(tensor.shape)} {of_torch(tensor.dtype) or tensor.dtype}" for key, tensor in inputs.items()
        )
        question = " Are the shapes those that it expects?" if _is_about_tensors(error) else ""
        raise UserError(
            f"{name} cannot be run with these inputs ({shapes}): {_shortened(error)}{_place(error)}.{question}"
        ) from error


def _refuse_control_flow(exported: torch.export.ExportedProgram, name: str) -> None:
    """Refuse operators that call parts of a graph."""
    for node in exported.graph.nodes:
        if isinstance(node.target, torch._ops.HigherOrderOperator) and node.target.name() in _CONTROL_FLOW:
            raise UserError(
                f"{name} has control flow within its graph, torch.{node.target.name()}{_graph_place(node)}, and a "
                "program of linalg operations has none. Compute both sides and choose with torch.where, or write "
                "loops in Python, which are unrolled."
            )


def _graph_place(node: Any) -> str:
    """Return where in the network's own code a node of a graph comes from, if PyTorch knows."""
    file, _, line = source_line(node).partition(":")
    return f" (at {Path(file).name}:{line})" if line and not file.startswith("<") else ""


def _refuse_dynamic_shapes(exported: torch.export.ExportedProgram, name: str) -> None:
    """Refuse a graph with a shape that only its inputs' values decide; torch-mlir can convert such a one for ever."""
    for node in exported.graph.nodes:
        for value in torch.utils._pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, torch.Tensor) and any(isinstance(extent, torch.SymInt) for extent in value.shape):
                raise UserError(
                    f"{name} has a tensor whose shape depends on the values of its inputs{_graph_place(node)}, and "
                    "every program of a dataset has static shapes. Select by torch.where, which keeps the shape."
                )


def mlir_dtype(tensor: torch.Tensor) -> str:
    """Return a tensor's element type as MLIR spells it.

    Raises:
        UserError: when programs have no such type.
    """
    dtype = of_torch(tensor.dtype)
    if dtype not in PROGRAM_DTYPES:
        raise UserError(
            f"The network has a tensor of {tensor.dtype}, and programs have {listed(PROGRAM_DTYPES)}. "
            "Convert it first: complex numbers with torch.view_as_real, others as with model.float()."
        )
    return dtype


def described(role: str, name: str, tensor: torch.Tensor) -> Argument:
    """Return the signature of a tensor.

    Raises:
        UserError: when programs do not have its element type.
    """
    return Argument(role, name, mlir_dtype(tensor), tuple(tensor.shape))


def _as_called(module: torch.nn.Module, inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs as positional and keyword arguments: positional where the forward method has no name for them.

    That is, where it takes any number of them, or does not take them by name.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return tuple(inputs.values()), {}
    nameless = [one.name for one in parameters if one.kind is one.POSITIONAL_ONLY and one.name in inputs]
    by_name = {name: tensor for name, tensor in inputs.items() if name not in nameless}
    return tuple(inputs[name] for name in nameless), by_name


def called(module: torch.nn.Module, inputs: Mapping[str, Any]) -> Any:
    """Call a network with inputs by name."""
    arguments, keywords = _as_called(module, inputs)
    return module(*arguments, **keywords)


def input_names(module: torch.nn.Module, count: int) -> list[str]:
    """Return the names of a forward method's first arguments, or numbered ones where it has none.

    Raises:
        UserError: when it takes fewer.
    """
    parameters = list(inspect.signature(module.forward).parameters.values())
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return [f"input{index}" for index in range(count)]
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    if count > len(names):
        raise UserError(
            f"{type(module).__name__}.forward takes {len(names)} inputs ({', '.join(names)}), and {count} shapes are "
            "given."
        )
    return names[:count]


def inputs_by_name(module: torch.nn.Module, given: Sequence[Any]) -> list[str]:
    """Return names of a forward method's arguments in its own order; those that only its `**` takes come last.

    Raises:
        UserError: when it has no argument of one of these names, or takes its inputs by position.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    forward = f"{type(module).__name__}.forward"
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        raise UserError(f"{forward} takes any number of inputs by position: give a list of shapes, and no names.")
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    others = [name for name in given if name not in names]
    takes_others = len(names) < len(parameters) and all(isinstance(name, str) for name in others)
    if not given or (others and not takes_others):
        named = f"input_shape names {others[0]!r}" if others else "input_shape is empty"
        similar = nearest(str(others[0]), names) if others else ""
        raise UserError(f"{named}, and {forward} takes {listed(names)}.{similar}")
    return [*(name for name in names if name in given), *others]


def _shortened(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:300].rstrip(". ")


def _place(error: BaseException) -> str:
    """Return where in the network's own code an exception came from, if it did."""
    frames = _own_frames(traceback.extract_tb(error.__traceback__))
    if not frames:
        return ""
    last = frames[-1]
    return f" (at {Path(last.filename).name}:{last.lineno}: {(last.line or '').strip()})"


def _own_frames(frames: Sequence[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Return the frames within forward methods that are not PyTorch's own, nor Python's."""
    here = str(Path(__file__).parent)
    return [
        frame
        for frame in frames
        if not frame.filename.startswith((_TORCH, here, "<"))
        and not _is_of_python(frame.filename)
        and frame.name not in ("<module>",)
    ]


def _is_of_python(file: str) -> bool:
    """Tell whether a file is of the standard library. Packages may lie below it, such as one that has networks."""
    return file.startswith(_PYTHON) and not {"site-packages", "dist-packages"} & set(Path(file).parts)


def _is_about_tensors(error: Exception) -> bool:
    """Tell whether PyTorch, and not the network's own code, found something wrong with tensors."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, RuntimeError) and bool(frames) and frames[-1].filename.startswith(_TORCH)
