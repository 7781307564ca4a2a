"""The families of drawn graphs: what they draw, and what a program of them is held against."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.errors import listed
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, as_tensor, is_float, torch_dtype
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.drawn.blocks import BLOCKS
from mlir_datagen.ops.drawn.draft import CannotBeDrawn, Draft, Draw, Drawing, GivenSizes
from mlir_datagen.ops.drawn.generics import AXES as GENERIC_AXES
from mlir_datagen.ops.drawn.generics import VOCABULARY as SCALAR_OPERATIONS
from mlir_datagen.ops.drawn.generics import draw_generic
from mlir_datagen.ops.drawn.kernels import KERNELS
from mlir_datagen.ops.drawn.rules import RULES, applicable
from mlir_datagen.ops.dtypes import DEFAULT
from mlir_datagen.ops.elementwise import elementwise, with_number
from mlir_datagen.ops.graph import Graph
from mlir_datagen.ops.graph_json import NoGraph, checked_sizes, graph_fields, graph_from_fields
from mlir_datagen.ops.program_family import AnyFamily, Bounds, HeldAgainst
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, versions_of
from mlir_datagen.ops.windows import CONVOLUTIONS, POOLINGS

RANK_AXES = {2: ("rows", "columns"), 4: ("batch", "channels", "height", "width")}
"""What the axes of the values that a graph begins with are called, by rank."""
_OF_ANY_PROGRAM = (
    *CONTRACTIONS.values(),
    *(CONVOLUTIONS[name] for name in ("conv_2d_nchw_fchw", "depthwise_conv_2d_nchw_chw")),
    POOLINGS["pooling_nchw_max"],
    elementwise("max", 2),
    with_number("max", 2),
)
_DTYPES = (DEFAULT, "f64")
_ROUNDINGS = 16
"""How often the rounding of PyTorch's own result may be exceeded: sums in another order round otherwise."""
_NARROW_ROUNDINGS = 4
"""The same of types narrower than f32, where so much more would hide what is wrong; 1.6 times was seen."""


@dataclass(frozen=True)
class GraphSpec:
    """A program that was drawn."""

    graph: Graph
    kind: str

    @property
    def dtype(self) -> str:
        """The element type of its first result."""
        return self.graph.results[0].dtype

    @cached_property
    def fields(self) -> dict[str, Any]:
        """What its JSON says."""
        return {"kind": self.kind, **graph_fields(self.graph)}

    @cached_property
    def content(self) -> str:
        """What it is, whatever family drew it: a text that equal graphs share."""
        return orjson.dumps({key: value for key, value in self.fields.items() if key != "kind"}).decode()


DrawsGraph = Callable[[Drawing, Draw], tuple[Draft, list[int], str]]
"""Returns a draft, the numbers of its results, and its kind."""


class DrawnFamily(AnyFamily):
    """A family of drawn graphs.

    Args:
        name: of the family, and of the function in its programs.
        draw: draws a graph; it raises `CannotBeDrawn` where the draw leads to none.
        axes: the axes that its sizes are drawn from.
        vocabulary: what its drawing may name.
        settings: which settings of a `Drawing` it has, besides axes.
        dtypes: the element types that its programs may have: of narrower ones, an argument hardly shows behind what
            rounding allows in more than one program of a hundred.
    """

    def __init__(
        self,
        name: str,
        draw: DrawsGraph,
        axes: Sequence[str],
        vocabulary: Sequence[str],
        settings: Sequence[str],
        dtypes: Sequence[str] = _DTYPES,
    ) -> None:
        self.name, self._draw = name, draw
        self.axes, self.vocabulary, self.settings = tuple(axes), tuple(vocabulary), tuple(settings)
        self.dtypes = tuple(dtypes)

    def __reduce__(self) -> tuple[Callable[[str], DrawnFamily], tuple[str]]:
        return _family, (self.name,)

    def draw(self, drawing: Drawing, generator: np.random.Generator) -> GraphSpec | None:
        """Draw a program; None where this draw leads to none."""
        try:
            draft, results, kind = self._draw(drawing, Draw(generator, drawing.axes))
        except CannotBeDrawn:
            return None
        return GraphSpec(draft.finish(self.name, results), kind)

    def spec_from_json(self, fields: Any) -> GraphSpec:
        """Make the spec again from the parsed JSON of a row's `spec` column.

        A person may say a kind and its sizes instead, and a list for a size that is drawn several
        times: `{"kind": "mlp", "draw": {"rows": 8, "columns": 4, "features": 2}}`.

        Raises:
            TypeError: when the fields are not those of a spec.
            NoGraph: when they make no graph.
        """
        if not isinstance(fields, Mapping) or not isinstance(fields.get("kind"), str):
            raise TypeError("its fields are kind, arguments, nodes and results")
        if "draw" in fields:
            return self._of_sizes(fields)
        graph = {key: value for key, value in fields.items() if key != "kind"}
        return GraphSpec(graph_from_fields(self.name, graph), fields["kind"])

    def _of_sizes(self, fields: Mapping[str, Any]) -> GraphSpec:
        kind, sizes = fields["kind"], fields["draw"]
        if not {"kind", "draw"} <= set(fields) <= {"kind", "draw", "dtype"} or not isinstance(sizes, Mapping):
            raise TypeError("beside draw, which has its sizes, it has a kind and perhaps a dtype, and nothing else")
        if kind not in self.vocabulary:
            raise NoGraph(f"its kind must be one of {listed(self.vocabulary)}")
        dtype = fields.get("dtype", DEFAULT)
        if dtype not in self.dtypes:
            raise NoGraph(f"its dtype must be one of {listed(self.dtypes)}")
        draw = GivenSizes({axis: checked_sizes(given, axis) for axis, given in sizes.items()})
        try:
            draft, results, _ = self._draw(Drawing({}, (kind,), dtype=dtype), draw)
            draw.require_all_drawn()
        except CannotBeDrawn as error:
            raise NoGraph(str(error) or f"there is no {kind} of such sizes") from error
        return GraphSpec(draft.finish(self.name, results), kind)

    def problem(self, spec: GraphSpec) -> str | None:
        """Say nothing: what was read as a graph is one."""
        return None

    def graph(self, spec: GraphSpec) -> Graph:
        """Return the program of a spec."""
        return spec.graph

    def versions_of_all(self, asked: str) -> Versions:
        """Return the MLIR that parses whatever it may draw where a form is asked for."""
        return versions_of(_OF_ANY_PROGRAM, asked, DEFAULT)

    def main_operation(self, spec: GraphSpec) -> StructuredOperation:
        """Return the main operation of a program."""
        return spec.graph.nodes[spec.graph.main].operation

    def versions(self, spec: GraphSpec, asked: str) -> Versions:
        """Return the MLIR that parses a program where a form is asked for."""
        nodes = spec.graph.nodes
        dtypes = {node.dtype for node in nodes}
        each = [versions_of([one.operation for one in nodes if one.dtype == dtype], asked, dtype) for dtype in dtypes]
        return reduce(Versions.both, each)

    def baseline_seconds(self, spec: GraphSpec) -> float:
        """Estimate how long one call takes as plain loops: its operations one after the other."""
        graph = spec.graph
        return float(sum(graph.node_seconds(place, moved) for place, moved in enumerate(graph.node_bytes)))

    def input_ranges(self, spec: GraphSpec) -> list[Bounds]:
        """Return for each argument the range of random numbers in which a wrong program shows.

        Weights are as small as keeps sums of products in the range of what they are products with: sigmoids of large
        numbers would be all the same. What is looked up by are numbers of elements that there are, and of what is
        compared some are equal: which of them is taken would not show otherwise.
        """
        ranges: list[Bounds] = [(-1.0, 1.0)] * len(spec.graph.arguments)
        for node in spec.graph.nodes:
            for letter, names in node.operation.looked_up_by.items():
                if (number := node.input_of(letter)) < len(ranges):
                    ranges[number] = range(min(node.sizes[name] for name in names))
            for letter in node.operation.body.compared:
                if (number := node.input_of(letter)) < len(ranges):
                    some = 1 + node.reduced // 4
                    ranges[number] = range(-some, some + 1)
            is_product = (node.operation.body.text, node.operation.body.accumulate) == ("mul(a, b)", "add")
            if is_product and node.inputs[1] < len(ranges):
                largest = math.sqrt(3 / node.reduced)
                ranges[node.inputs[1]] = (-largest, largest)
        return ranges

    def held_against(self, spec: GraphSpec, arguments: Sequence[NDArray[Any]]) -> list[HeldAgainst]:
        """Return what each result is compared with.

        Allowed is some times what PyTorch's own result in the element type is off, and the rounding of the longest sum.
        """
        exact, rounded = self._results(spec, arguments, "f64"), self._results(spec, arguments, _precision(spec.graph))
        # The largest of some numbers is one of them, and rounds nothing.
        rounded_sums = [node.reduced for node in spec.graph.nodes if node.operation.body.accumulate in ("add", "mul")]
        longest = 1 + math.sqrt(max(rounded_sums, default=1))
        found = []
        for one, other, result in zip(exact, rounded, spec.graph.results, strict=True):
            unit = ELEMENT_TYPES[result.dtype].unit
            often = _NARROW_ROUNDINGS if unit > ELEMENT_TYPES[DEFAULT].unit else _ROUNDINGS
            off = max(float(np.abs(one - other).max()), unit * longest * float(np.abs(one).max()))
            found.append(HeldAgainst(one, often * off))
        return found

    def hidden(self, spec: GraphSpec, arguments: Sequence[NDArray[Any]], held: Sequence[HeldAgainst]) -> frozenset[int]:
        """Return the places of arguments that show in no result: with others the results are the same.

        Args:
            spec: the program.
            arguments: what it was called on.
            held: what its results are compared with.
        """
        found = set()
        for place, argument in enumerate(arguments):
            # Not a multiple of it alone: norms divide that out again.
            other = np.roll(argument.ravel(), 1).reshape(argument.shape) * argument.dtype.type(0.9)
            results = self._results(spec, [*arguments[:place], other, *arguments[place + 1 :]], "f64")
            pairs = zip(held, results, strict=True)
            if all(float(np.abs(one.reference - result).max()) <= one.allowed for one, result in pairs):
                found.add(place)
        return frozenset(found)

    def _results(self, spec: GraphSpec, arguments: Sequence[NDArray[Any]], dtype: str) -> list[NDArray[np.float64]]:
        """Return what PyTorch computes in an element type; integers beside numbers of such types stay as they are."""
        tensors = []
        for one, operand in zip(arguments, spec.graph.arguments, strict=True):
            has_numbers = is_float(operand.dtype) or not is_float(dtype)
            tensors.append(as_tensor(one, operand.dtype).to(torch_dtype(dtype if has_numbers else "f64")))
        found = spec.graph.evaluation()(*tensors)
        return [one.double().numpy() for one in (found if isinstance(found, tuple) else (found,))]


def _precision(graph: Graph) -> str:
    """Return the least precise floating-point type that it computes in; of integers alone, that of its result."""
    dtypes = [graph.results[0].dtype, *(value.dtype for value in graph.values)]
    return max(dtypes, key=lambda dtype: ELEMENT_TYPES[dtype].unit)


def _begin(drawing: Drawing, draw: Draw, draft: Draft) -> tuple[int, str]:
    """Return the first argument: of a rank that operations of the vocabulary are made for, if any are for one alone."""
    special = {RULES[name].ranks for name in drawing.vocabulary if len(RULES[name].ranks) == 1}
    rank = draw.one_of(sorted(ranks[0] for ranks in special) or sorted(RANK_AXES))
    return draft.argument(*(draw.size(axis) for axis in RANK_AXES[rank])), {2: "matrix", 4: "image"}[rank]


def _length(drawing: Drawing, draw: Draw) -> int:
    return draw.between(*drawing.length)


def draw_sequence(drawing: Drawing, draw: Draw) -> tuple[Draft, list[int], str]:
    """Draw a chain: each operation reads what the one before computed; other operands are arguments."""
    draft = Draft(drawing.dtype)
    value, kind = _begin(drawing, draw, draft)
    for _ in range(_length(drawing, draw)):
        value = _applied(draft, drawing, draw, value, lambda shape: draft.argument(*shape))
    return draft, [value], kind


def draw_dag(drawing: Drawing, draw: Draw) -> tuple[Draft, list[int], str]:
    """Draw a graph: operations read any values, and results are what none reads."""
    draft = Draft(drawing.dtype)
    first, kind = _begin(drawing, draw, draft)
    depths, reads = {first: 0}, Counter[int]()

    def readable(shape: tuple[int, ...] | None = None) -> list[int]:
        """Return the values that another operation may read, of a shape if one is asked for."""
        return [
            value
            for value, depth in depths.items()
            if reads[value] < drawing.fan_out
            and (drawing.depth is None or depth < drawing.depth)
            and shape in (None, draft.shape(value))
        ]

    def new(shape: tuple[int, ...]) -> int:
        value = draft.argument(*shape)
        depths[value] = 0
        return value

    def other(shape: tuple[int, ...]) -> int:
        fitting = readable(shape)
        # Three times of four, so that graphs with several inputs are drawn as well.
        chosen = draw.one_of(fitting) if fitting and draw.between(0, 3) else new(shape)
        operands.append(chosen)
        reads[chosen] += 1
        return int(chosen)

    for _ in range(_length(drawing, draw)):
        operands = [draw.one_of(readable() or [new(draft.shape(first))])]
        reads[operands[0]] += 1
        value = _applied(draft, drawing, draw, operands[0], other)
        depths[value] = 1 + max(depths[operand] for operand in operands)
    return draft, [value for value in depths if value >= 0 and not reads[value]], kind


def _applied(draft: Draft, drawing: Drawing, draw: Draw, value: int, others: Callable[[tuple[int, ...]], int]) -> int:
    """Add one of the operations that the value allows; return its result."""
    names = applicable(drawing.vocabulary, len(draft.shape(value)))
    while names:
        name = draw.one_of(names)
        try:
            return RULES[name].apply(draft, draw, value, others)
        except CannotBeDrawn:
            names = tuple(one for one in names if one != name)
    raise CannotBeDrawn


def _draw_kind(kinds: Mapping[str, Callable[[Draft, Draw], int | tuple[int, ...]]]) -> DrawsGraph:
    """Return a function that draws one of the kinds of a vocabulary, with random sizes."""

    def draw_kind(drawing: Drawing, draw: Draw) -> tuple[Draft, list[int], str]:
        kind = draw.one_of(drawing.vocabulary)
        draft = Draft(drawing.dtype)
        found = kinds[kind](draft, draw)
        return draft, list(found) if isinstance(found, tuple) else [found], kind

    return draw_kind


_AXES = ("batch", "channels", "height", "width", "kernel", "stride", "rows", "columns")
_KERNEL_AXES = ("length", "depth", "height", "width", "batch", "rows", "columns", "features")
_FAMILIES = (
    DrawnFamily("sequence", draw_sequence, _AXES, tuple(RULES), ("vocabulary", "length")),
    DrawnFamily("dag", draw_dag, _AXES, tuple(RULES), ("vocabulary", "length", "fan_out", "depth")),
    DrawnFamily("generic", draw_generic, GENERIC_AXES, SCALAR_OPERATIONS, ("vocabulary", "loops", "operations")),
    DrawnFamily("block", _draw_kind(BLOCKS), (*_AXES, "heads", "features"), tuple(BLOCKS), ("vocabulary",)),
    DrawnFamily("kernel", _draw_kind(KERNELS), _KERNEL_AXES, tuple(KERNELS), ("vocabulary",), (*_DTYPES, "f16")),
)
DRAWN_FAMILIES: dict[str, DrawnFamily] = {family.name: family for family in _FAMILIES}


def _family(name: str) -> DrawnFamily:
    return DRAWN_FAMILIES[name]
