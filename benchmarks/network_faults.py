"""What a converter of networks can get wrong, planted into a captured graph.

A fault changes one node of the graph so that its result keeps shape and element type. Whether that computes anything
else is not asked here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.fx import Graph, Node

aten = torch.ops.aten

Change = Callable[[Node, np.random.Generator], None]
"""Changes a node, or raises `NotHere`."""


class NotHere(Exception):
    """A fault cannot be planted in a node."""


class Fault(NamedTuple):
    """A fault in a graph: what is done to which call of an operator."""

    kind: str
    change: Change
    operator: str
    occurrence: int
    seed: int


def faults_in(exported: torch.export.ExportedProgram, seed: int) -> Iterator[Fault]:
    """Yield a fault for each way in which each node can be wrong; some cannot be planted."""
    counts: dict[str, int] = {}
    for node in exported.graph.nodes:
        name = operator_name(node)
        occurrence = counts[name] = counts.get(name, -1) + 1
        for kind, operators, change in _FAULTS:
            if name in operators.split():
                yield Fault(kind, change, name, occurrence, seed)


def plant(exported: torch.export.ExportedProgram, fault: Fault) -> None:
    """Change a captured graph.

    Raises:
        NotHere: when the fault cannot be planted.
    """
    same = [node for node in exported.graph.nodes if operator_name(node) == fault.operator]
    node = same[fault.occurrence]
    generator = np.random.default_rng([fault.seed, fault.occurrence])
    fault.change(node, generator)
    exported.graph.lint()
    exported.graph_module.recompile()


def operator_name(node: Node) -> str:
    """Return an operator's name without its overload and without the underscore of one that works in place."""
    if node.op != "call_function" or node.target is operator.getitem:
        return "getitem" if node.op == "call_function" else node.op
    name = str(node.target).removeprefix("aten.").partition(".")[0]
    return name if name.startswith("_") else name.rstrip("_")


# How a node is changed.


def _value(argument: Any) -> Any:
    return torch.fx.node.map_arg(argument, lambda node: node.meta["val"])


def _called(graph: Graph, like: Node, target: Any, *arguments: Any, **settings: Any) -> Node:
    """Insert a call before the insertion point; its result is computed without numbers."""
    made = graph.call_function(target, arguments, settings)
    made.meta = dict(like.meta)
    try:
        with like.meta["val"].fake_mode, torch.no_grad():
            made.meta["val"] = target(*_value(arguments), **_value(settings))
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        graph.erase_node(made)
        raise NotHere from error
    return made


def _replaced(node: Node, target: Any, *arguments: Any, **settings: Any) -> None:
    """Let another call take a node's place, cut to the size that its result has where it is larger."""
    graph, wanted = node.graph, node.meta["val"]
    with graph.inserting_before(node):
        made = _called(graph, node, target, *arguments, **settings)
        for axis, (has, needs) in enumerate(zip(made.meta["val"].shape, wanted.shape, strict=False)):
            if has > needs:
                made = _called(graph, node, aten.slice.Tensor, made, axis, 0, needs)
    _taken(node, made)


def _taken(node: Node, by: Any) -> None:
    """Let another node take a node's place."""
    if not isinstance(by, Node) or not isinstance(by.meta.get("val"), torch.Tensor):
        raise NotHere
    has, needs = by.meta["val"], node.meta["val"]
    if (has.shape, has.dtype) != (needs.shape, needs.dtype):
        raise NotHere
    node.replace_all_uses_with(by, delete_user_cb=lambda user: user is not by)
    node.graph.erase_node(node)


def _argument(node: Node, place: int, name: str = "", default: Any = None) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _with(node: Node, place: int, value: Any) -> None:
    """Give a node another argument."""
    if len(node.args) <= place:
        raise NotHere
    arguments = list(node.args)
    arguments[place] = value
    _replaced(node, node.target, *arguments, **node.kwargs)


def _is_computed(argument: Any) -> bool:
    return isinstance(argument, Node) and argument.op == "call_function"


def _shape(argument: Any) -> tuple[int, ...]:
    return tuple(argument.meta["val"].shape) if isinstance(argument, Node) else ()


# The faults.


def _activation(node: Node, generator: np.random.Generator) -> None:
    others = [other for other in _ACTIVATIONS if str(other).split(".")[1] != operator_name(node)]
    if operator_name(node) == "gelu":
        # The one that is nearest by far.
        own = node.kwargs.get("approximate", "none")
        approximate = "tanh" if own == "none" else "none"
        if generator.random() < 0.5:
            return _replaced(node, aten.gelu.default, node.args[0], approximate=approximate)
    return _replaced(node, others[generator.integers(len(others))], node.args[0])


_ACTIVATIONS = (
    aten.relu.default, aten.gelu.default, aten.silu.default, aten.sigmoid.default, aten.tanh.default,
    aten.hardswish.default, aten.leaky_relu.default, aten.sin.default,
)  # fmt: skip


def _residual(node: Node, generator: np.random.Generator) -> None:
    if not all(_is_computed(operand) and _shape(operand) == _shape(node) for operand in node.args[:2]):
        raise NotHere
    _taken(node, node.args[generator.integers(2)])


def _epsilon(node: Node, generator: np.random.Generator) -> None:
    place = {"batch_norm": 7, "layer_norm": 4, "group_norm": 4}[operator_name(node)]
    arguments = list(node.args)
    # Where it is left out, it is PyTorch's default.
    arguments += [1e-5] * (place + 1 - len(arguments)) if len(arguments) == place else []
    if len(arguments) <= place:
        raise NotHere
    arguments[place] = float(generator.choice((1e-3, 1e-2, 1e-1)))
    _replaced(node, node.target, *arguments, **node.kwargs)


def _norm_axis(node: Node, generator: np.random.Generator) -> None:
    if operator_name(node) == "group_norm":
        channels = _shape(node)[1]
        others = [groups for groups in range(1, channels + 1) if channels % groups == 0 and groups != node.args[1]]
        return _with(node, 1, others[generator.integers(len(others))])
    shape = [*_shape(node)[-2:]]
    with node.graph.inserting_before(node):
        held = [
            _called(node.graph, node, aten.expand.default, held, shape) if isinstance(held, Node) else held
            for held in node.args[2:4]
        ]
    return _replaced(node, node.target, node.args[0], shape, *held, *node.args[4:])


def _norm_scale(node: Node, generator: np.random.Generator) -> None:
    first = {"batch_norm": 1, "layer_norm": 2, "group_norm": 2}[operator_name(node)]
    _with(node, first + int(generator.integers(2)), None)


def _weight(node: Node, generator: np.random.Generator) -> None:
    place = {"linear": 1, "addmm": 2, "matmul": 1, "conv2d": 1}[operator_name(node)]
    shape = _shape(node.args[place])
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 1:
        raise NotHere
    with node.graph.inserting_before(node):
        turned = _called(node.graph, node, aten.transpose.int, node.args[place], -1, -2)
    _with(node, place, turned)


def _mask(node: Node, generator: np.random.Generator) -> None:
    name = operator_name(node)
    if name == "scaled_dot_product_attention":
        mask, causal = _argument(node, 3, "attn_mask"), _argument(node, 5, "is_causal", False)
        if mask is None and not causal:
            raise NotHere
        settings = {key: value for key, value in node.kwargs.items() if key in ("scale", "enable_gqa")}
        return _replaced(node, node.target, *node.args[:3], **settings)
    return _taken(node, node.args[1] if name == "where" else node.args[generator.integers(2) if name[0] == "_" else 0])


def _window(setting: str) -> Change:
    def change(node: Node, generator: np.random.Generator) -> None:
        name = operator_name(node)
        is_conv = name == "conv2d"
        kernel = _shape(node.args[1])[2:] if is_conv else _both(node.args[1])
        places = (3, 4, 5) if is_conv else (2, 3, 4)
        stride = _both(_argument(node, places[0], default=()) or ((1, 1) if is_conv else kernel))
        padding = _both(_argument(node, places[1], default=0))
        dilation = _both(_argument(node, places[2], default=1)) if name != "avg_pool2d" else (1, 1)
        side = int(generator.integers(2))
        if setting == "stride":
            stride = _changed(stride, side, -1)
        elif setting == "padding":
            padding = _changed(padding, side, 1)
        elif kernel[side] > 1 and name != "avg_pool2d":
            dilation, padding = _changed(dilation, side, 1), _changed(padding, side, kernel[side] // 2)
        else:
            raise NotHere
        if min(stride) < 1:
            raise NotHere
        if is_conv:
            arguments = [*node.args[:3], *([None] if len(node.args) < 3 else []), stride, padding, dilation]
            return _replaced(node, node.target, *arguments, _argument(node, 6, default=1))
        ends = [node.args[5]] if name == "max_pool2d" and len(node.args) > 5 else []
        settings = [dilation, *ends] if name == "max_pool2d" else list(node.args[4:])
        return _replaced(node, node.target, *node.args[:2], stride, padding, *settings)

    return change


def _both(numbers: Any) -> tuple[int, int]:
    pair = (numbers, numbers) if isinstance(numbers, int) else tuple(numbers)
    return (pair[0], pair[-1])


def _changed(pair: Sequence[int], side: int, by: int) -> tuple[int, int]:
    changed = list(pair)
    changed[side] += by
    return (changed[0], changed[1])


def _scale(node: Node, generator: np.random.Generator) -> None:
    if operator_name(node) == "scaled_dot_product_attention":
        return _replaced(node, node.target, *node.args, **{**node.kwargs, "scale": 1.0})
    if isinstance(node.args[1], Node):
        raise NotHere
    return _taken(node, node.args[0])


def _softmax_axis(node: Node, generator: np.random.Generator) -> None:
    if operator_name(node) != "scaled_dot_product_attention":
        rank = len(_shape(node))
        others = [axis for axis in range(rank) if axis != node.args[1] % rank and _shape(node)[axis] > 1]
        if not others:
            raise NotHere
        return _with(node, 1, others[generator.integers(len(others))])
    query, key, value = node.args[:3]
    if _argument(node, 3, "attn_mask") is not None or _argument(node, 5, "is_causal", False):
        raise NotHere
    graph = node.graph
    with graph.inserting_before(node):
        turned = _called(graph, node, aten.transpose.int, key, -1, -2)
        product = _called(graph, node, aten.matmul.default, query, turned)
        scores = _called(graph, node, aten.mul.Scalar, product, _shape(query)[-1] ** -0.5)
        weights = _called(graph, node, aten.softmax.int, scores, -2)
    return _replaced(node, aten.matmul.default, weights, value)


def _constant(node: Node, generator: np.random.Generator) -> None:
    places = [place for place, value in enumerate(node.args) if isinstance(value, float) and value != 0]
    if not places:
        raise NotHere
    place = places[generator.integers(len(places))]
    number = node.args[place]
    assert isinstance(number, float)
    _with(node, place, number * float(generator.choice((0.99, 1.01, 1.1))))


def _average(node: Node, generator: np.random.Generator) -> None:
    name, image = operator_name(node), node.args[0]
    if name == "max_pool2d":
        if _both(_argument(node, 4, default=1)) != (1, 1):
            raise NotHere
        return _replaced(node, aten.avg_pool2d.default, *node.args[:4])
    if name == "avg_pool2d":
        return _replaced(node, aten.max_pool2d.default, *node.args[:4])
    if name == "mean":
        return _replaced(node, aten.amax.default, *node.args)
    if _both(node.args[1]) != (1, 1):
        raise NotHere
    return _replaced(node, aten.amax.default, image, [-2, -1], True)


def _bias(node: Node, generator: np.random.Generator) -> None:
    if operator_name(node) == "addmm":
        return _replaced(node, aten.mm.default, *node.args[1:3])
    if _argument(node, 2, "bias") is None:
        raise NotHere
    return _with(node, 2, None)


def _off_by_one(node: Node, generator: np.random.Generator) -> None:
    name, step = operator_name(node), int(generator.choice((-1, 1)))
    if name == "arange":
        # It would otherwise be longer, and is cut.
        if any(isinstance(argument, Node) for argument in node.args):
            raise NotHere
        bounds = list(node.args) if len(node.args) > 1 else [0, *node.args]
        return _replaced(node, aten.arange.start, *(bound + 1 for bound in bounds[:2]), **node.kwargs)
    if name == "triu":
        return _with(node, 1, _argument(node, 1, default=0) + step)
    extent = _shape(node.args[0])[node.args[1] if len(node.args) > 1 else 0]
    if name == "select":
        return _with(node, 2, (node.args[2] + step) % extent if extent > 1 else extent)
    start, end = node.args[2] or 0, min(_argument(node, 3, default=extent), extent)
    start, end = start + extent * (start < 0), end + extent * (end < 0)
    if not 0 <= start + step < end + step <= extent:
        step = -step
    if not 0 <= start + step < end + step <= extent:
        raise NotHere
    return _replaced(node, node.target, *node.args[:2], start + step, end + step)


def _swapped(node: Node, generator: np.random.Generator) -> None:
    name = operator_name(node)
    if name == "cat":
        return _with(node, 0, list(node.args[0])[::-1])
    return _replaced(node, node.target, node.args[1], node.args[0], *node.args[2:], **node.kwargs)


def _other_part(node: Node, generator: np.random.Generator) -> None:
    parts = node.args[0].meta["val"]
    others = [place for place, part in enumerate(parts) if place != node.args[1] and part.shape == _shape(node)]
    if not others:
        raise NotHere
    with node.graph.inserting_before(node):
        made = node.graph.call_function(operator.getitem, (node.args[0], others[generator.integers(len(others))]))
    made.meta = dict(node.meta)
    _taken(node, made)


def _comparison(node: Node, generator: np.random.Generator) -> None:
    other = {"le": "lt", "lt": "le", "ge": "gt", "gt": "ge"}[operator_name(node)]
    overload = str(node.target).rpartition(".")[2]
    _replaced(node, getattr(getattr(aten, other), overload), *node.args)


def _other_operation(node: Node, generator: np.random.Generator) -> None:
    name = operator_name(node)
    if name == "neg":
        return _taken(node, node.args[0])
    if name in ("add", "mul") and not all(_is_computed(operand) for operand in node.args[:2]):
        raise NotHere
    return _replaced(node, _OTHER_OPERATIONS[name], *node.args, **node.kwargs)


_OTHER_OPERATIONS = {
    "add": aten.sub.Tensor, "mul": aten.add.Tensor, "mean": aten.sum.dim_IntList, "sin": aten.cos.default,
    "cos": aten.sin.default, "rsqrt": aten.reciprocal.default, "rsub": aten.add.Scalar, "log_softmax": aten.softmax.int,
    "upsample_nearest2d": aten.upsample_bilinear2d.vec,
}  # fmt: skip


def _reshaped(node: Node, generator: np.random.Generator) -> None:
    """Give the shape that a transposition gives without moving an element."""
    shape = _shape(node)
    if not _is_computed(node.args[0]) or sum(extent > 1 for extent in shape) < 2:
        raise NotHere
    _replaced(node, aten.reshape.default, node.args[0], list(shape))


_NORMS = "batch_norm layer_norm group_norm"
_FAULTS: tuple[tuple[str, str, Change], ...] = (
    (
        "another activation",
        "relu gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu",
        _activation,
    ),
    ("residual dropped", "add", _residual),
    ("epsilon of a norm", _NORMS, _epsilon),
    ("axis of a norm", "layer_norm group_norm", _norm_axis),
    ("scale or shift of a norm left out", _NORMS, _norm_scale),
    ("weight transposed", "linear addmm matmul conv2d", _weight),
    ("mask left out", "masked_fill where scaled_dot_product_attention __and__ __or__", _mask),
    ("stride", "conv2d max_pool2d avg_pool2d", _window("stride")),
    ("padding", "conv2d max_pool2d avg_pool2d", _window("padding")),
    ("dilation", "conv2d max_pool2d", _window("dilation")),
    ("missing scale", "scaled_dot_product_attention mul div", _scale),
    ("axis of a softmax", "softmax log_softmax scaled_dot_product_attention", _softmax_axis),
    ("wrong constant", "mul div add leaky_relu hardtanh", _constant),
    ("average and maximum", "max_pool2d avg_pool2d mean adaptive_avg_pool2d", _average),
    ("bias left out", "linear conv2d addmm", _bias),
    ("off by one", "slice select arange triu", _off_by_one),
    ("operand swapped", "cat div matmul le ge", _swapped),
    ("another part", "getitem", _other_part),
    ("comparison", "le ge lt gt", _comparison),
    ("another operation", "neg " + " ".join(_OTHER_OPERATIONS), _other_operation),
    ("axis exchanged", "transpose permute", _reshaped),
)
