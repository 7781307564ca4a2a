"""The part of the config about networks: which ones, and how they are converted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlir_datagen.errors import UserError, nearest, shown
from mlir_datagen.networks.model_spec import (
    AUTO,
    CONVERTERS,
    INPUT_DTYPES,
    WEIGHTS,
    ConverterSettings,
    InputSpec,
    ModelSpec,
)
from mlir_datagen.values import LARGEST, check_keys, choice, mapping, memory_bytes, processor_seconds, whole_number

MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_IMPORTABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_PLAIN = (bool, int, float, str, type(None))
_DEEPEST = 32
"""How far the lists and mappings of a model's arguments may be nested."""


def parse_models(raw: Mapping[str, Any]) -> dict[str, ModelSpec]:
    """Check the `models` part of a config; return it in the order of the names.

    Raises:
        UserError: for any value that is not allowed.
    """
    folded: dict[str, str] = {}
    for name in raw:
        if not MODEL_NAME.fullmatch(name):
            raise UserError(
                f"models has {shown(name)}, and a model's name becomes that of a file and of a function: a letter, "
                "then letters, digits and underscores, 64 at most."
            )
        if name.casefold() in folded:
            raise UserError(
                f"models has {shown(folded[name.casefold()])} and {shown(name)}, which some file systems take for one."
            )
        folded[name.casefold()] = name
    return {name: parse_model(name, mapping(raw[name], f"models.{name}")) for name in sorted(raw)}


def parse_model(name: str, raw: Mapping[str, Any]) -> ModelSpec:
    """Check one model, given as plain values.

    Raises:
        UserError: for any value that is not allowed.
    """
    key = f"models.{name}"
    check_keys(raw, ("class", "config", "arguments", "sizes", "inputs"), key)
    arguments = mapping(raw.get("arguments") or {}, f"{key}.arguments")
    for argument, value in arguments.items():
        if not _is_plain(value):
            raise UserError(
                f"{key}.arguments.{argument} is {shown(value)}, and must be plain: numbers, text, lists, mappings, "
                f"nested {_DEEPEST} deep at most."
            )
    _refuse_pretrained(arguments, f"{key}.arguments")
    _refuse_huge(raw, key)
    sizes = mapping(raw.get("sizes") or {}, f"{key}.sizes")
    for size, value in sizes.items():
        whole_number(value, f"{key}.sizes.{size}", minimum=1, example=f"{key}.sizes.{size}=1")
    inputs = raw.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise UserError(
            f"{key}.inputs is {shown(inputs)}, and must be a list with a mapping for each input: name, shape, dtype."
        )
    spec = ModelSpec(
        name=name,
        class_path=_importable(raw.get("class"), f"{key}.class"),
        config_path=None if raw.get("config") is None else _importable(raw["config"], f"{key}.config"),
        arguments=dict(arguments),
        sizes=dict(sizes),
        inputs=tuple(_parse_input(mapping(given, f"{key}.inputs"), f"{key}.inputs") for given in inputs),
    )
    for input_ in spec.inputs:
        spec.shape(input_)
        if input_.below is not None:
            spec.extent(input_.below)
    used = {extent for input_ in spec.inputs for extent in (*input_.shape, input_.below)}
    if unused := [size for size in sizes if size not in used]:
        raise UserError(
            f"{key}.sizes has {unused[0]}, and no input of it is of that size.{nearest(unused[0], map(str, used))} "
            "Leave it out, or name it in the shape of an input."
        )
    if len({input_.name for input_ in spec.inputs}) < len(spec.inputs):
        raise UserError(f"{key}.inputs has two inputs of one name.")
    return spec


def _parse_input(raw: Mapping[str, Any], key: str) -> InputSpec:
    check_keys(raw, InputSpec._fields, key)
    name, shape = raw.get("name"), raw.get("shape")
    if not isinstance(name, str) or not name.isidentifier():
        raise UserError(
            f"{key} has an input named {shown(name)}; it must be the name of an argument of the forward method."
        )
    if not isinstance(shape, list) or not all(isinstance(extent, (int, str)) for extent in shape):
        raise UserError(
            f"{key}.{name} has the shape {shown(shape)}, and must have a list of numbers and names of sizes, such as "
            "[batch, 3, 224, 224]. Dynamic extents are not possible: every program of a dataset has static shapes."
        )
    value, below = raw.get("value"), raw.get("below")
    if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
        raise UserError(f"{key}.{name}.value is {shown(value)}, and must be a number.")
    if isinstance(below, bool) or not isinstance(below, (int, str, type(None))):
        raise UserError(
            f"{key}.{name}.below is {shown(below)}, and must be a number or the name of a size or an argument."
        )
    return InputSpec(
        name, tuple(shape), choice(raw.get("dtype", "f32"), f"{key}.{name}.dtype", INPUT_DTYPES), below, value
    )


def parse_converter(raw: Mapping[str, Any]) -> ConverterSettings:
    """Check the `converter` part."""
    keys = ("kind", "weights", "seconds", "memory_bytes")
    check_keys(raw, keys, "converter")
    for key in keys:
        if key not in raw:
            raise UserError(f"converter lacks {key}. Compare it with the files of conf/converter/.")
    return ConverterSettings(
        kind=choice(raw["kind"], "converter.kind", (*CONVERTERS, AUTO)),
        weights=choice(raw["weights"], "converter.weights", WEIGHTS),
        seconds=processor_seconds(raw["seconds"], "converter.seconds"),
        memory_bytes=memory_bytes(raw["memory_bytes"], "converter.memory_bytes"),
    )


def parse_trust(value: Any) -> tuple[str, ...]:
    """Check the names of the packages whose classes may be imported."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name.isidentifier() for name in value):
        raise UserError(
            f"trust is {shown(value)}, and must be a list of packages' names. Type for instance 'trust=[my_package]'."
        )
    return tuple(sorted(set(value)))


def _importable(value: Any, key: str) -> str:
    if not isinstance(value, str) or not _IMPORTABLE.fullmatch(value):
        raise UserError(
            f"{key} is {shown(value)}, and must name a class with its module, such as torchvision.models.resnet18."
        )
    return value


def _refuse_pretrained(value: Any, key: str) -> None:
    """Refuse what a library would download, at any depth. None and False say that it shall not."""
    if isinstance(value, list):
        for element in value:
            _refuse_pretrained(element, key)
    if not isinstance(value, Mapping):
        return
    for argument, given in value.items():
        is_pretrained = argument.startswith("weights") or "pretrained" in argument
        if is_pretrained and given is not None and given is not False:
            raise UserError(
                f"{key} has {shown(argument)}: pretrained weights are not downloaded. Networks have random weights "
                "from the seed; trained ones can be converted through NeuralNetworkToMLIR in Python."
            )
        _refuse_pretrained(given, f"{key}.{argument}")


def _refuse_huge(value: Any, key: str) -> None:
    """Refuse whole numbers that JSON, as the dataset has them, does not hold."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UserError(f"{key} is {shown(value)}, and must be at most {LARGEST}, as every number of a model.")
    if isinstance(value, (list, tuple)):
        for element in value:
            _refuse_huge(element, key)
    if isinstance(value, Mapping):
        for name, element in value.items():
            _refuse_huge(element, f"{key}.{name}")


def _is_plain(value: Any, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        return False
    if isinstance(value, list):
        return all(_is_plain(element, depth + 1) for element in value)
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(element, depth + 1) for name, element in value.items())
    return isinstance(value, _PLAIN)
