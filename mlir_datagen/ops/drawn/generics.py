"""Single structured operations drawn at random: loops, iterators, maps, a window now and then, and a body.

Each is one `linalg.generic`. Its loops are parallel or reductions in any order; each input is read along some of them,
in any order, so that maps are permuted and projected; together inputs are read along all. A window moves along one of
the loops as in a convolution, another loop being its inside. What the body computes is drawn in `bodies`.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from mlir_datagen.ops.drawn.bodies import RANGES, Reduction, draw_body
from mlir_datagen.ops.drawn.draft import Draft, Draw, Drawing
from mlir_datagen.ops.structured_operation import unnamed

AXES = ("extent", "kernel", "stride")
VOCABULARY = tuple(RANGES)

_MOST_INPUTS = 3
_MOST_POINTS = 1 << 24
"""Of the iteration space, so that a reference fits into memory."""
_LONGEST = {"add": 1 << 14, "max": 1 << 10, "min": 1 << 10, "mul": 1 << 3}
"""How many values are reduced at most, by what reduces them, which the vocabulary must have unless it is a sum.

In longer ones, what one of the inputs does is hidden: in the rounding of a sum, behind other inputs' values in a
maximum. Long products are as good as zero.
"""


class _Loops(NamedTuple):
    """An iteration space.

    Attributes:
        extents: by the loops' names, in order.
        reductions: those that the result does not have.
        window: the loop along which a window moves, the one inside it, and the stride; None for no window.
    """

    extents: dict[str, int]
    reductions: tuple[str, ...]
    window: tuple[str, str, int] | None


def draw_generic(drawing: Drawing, draw: Draw) -> tuple[Draft, list[int], str]:
    """Draw one operation."""
    loops = _loops(drawing, draw)
    operations = draw.between(*drawing.operations)
    inputs = _inputs(draw, loops, draw.between(1, min(_MOST_INPUTS, operations + 1)))
    reduced = math.prod(loops.extents[loop] for loop in loops.reductions)
    accumulate = None
    if loops.reductions:
        allowed = [kind for kind in _LONGEST if kind in ("add", *drawing.vocabulary) and reduced <= _LONGEST[kind]]
        accumulate = draw.one_of(["add", *allowed])
    varying = tuple(_reduced_elements(loops, one) for one in inputs)
    body = draw_body(draw, drawing.vocabulary, operations, Reduction(accumulate, reduced, varying))

    result = _shuffled(draw, [loop for loop in loops.extents if loop not in loops.reductions])
    line = f"{', '.join(map(' '.join, [*inputs, *_shape_only(loops, inputs)]))} -> {' '.join(result)}"
    operation = unnamed(line, body, accumulate, " ".join(loops.extents))
    sizes = dict(loops.extents)
    if loops.window is not None:
        position, inside, stride = loops.window
        sizes |= {_moved(loops): (sizes[position] - 1) * stride + sizes[inside], "s": stride}
    draft = Draft(drawing.dtype)
    arguments = [draft.argument(*shape) for shape in operation.argument_shapes(sizes)]
    kind = "window" if loops.window is not None else "reduction" if loops.reductions else "parallel"
    return draft, [draft.apply(operation, arguments, {name: sizes[name] for name in operation.given})], kind


def _loops(drawing: Drawing, draw: Draw) -> _Loops:
    names = _shuffled(draw, [f"d{place}" for place in range(draw.between(*drawing.loops))])
    extents: dict[str, int] = {}
    window, reductions = None, []
    if len(names) > 1 and not draw.between(0, 3):
        window = (names[0], names[1], draw.size("stride"))
        extents = {names[0]: draw.size("extent", least=2), names[1]: draw.size("kernel", least=2)}
        reductions.append(names[1])
    for name in names[len(extents) :]:
        extents[name] = draw.size("extent", least=2, most=_MOST_POINTS // math.prod(extents.values()))
    for name in names[1 + len(reductions) :]:
        reduced = math.prod(extents[one] for one in [*reductions, name])
        if not draw.between(0, 2) and reduced <= _LONGEST["add"]:
            reductions.append(name)
    return _Loops(dict(sorted(extents.items())), tuple(reductions), window)


def _inputs(draw: Draw, loops: _Loops, count: int) -> list[list[str]]:
    """Return the dimensions of the inputs, in the notation."""
    names = list(loops.extents)
    inputs = []
    for _ in range(count):
        # One of three is read along all loops.
        is_whole = not draw.between(0, 2)
        chosen = [name for name in names if is_whole or draw.between(0, 2)]
        inputs.append(_shuffled(draw, chosen or [draw.one_of(names)]))
    for name in names:
        if not any(name in one for one in inputs):
            one = draw.one_of(inputs)
            one.insert(draw.between(0, len(one)), name)
    if loops.window is not None:
        position, inside, stride = loops.window
        one = draw.one_of([one for one in inputs if position in one])
        factor = "*s" if stride > 1 else ""
        one[one.index(position)] = f"{_moved(loops)}={position}{factor}+{inside}"
        if inside in one:
            one.remove(inside)
    return inputs


def _reduced_elements(loops: _Loops, dimensions: list[str]) -> int:
    """Return how many elements of an input go into one of the result."""
    own = [loop for loop in loops.reductions if any(loop in re.split(r"\W", one) for one in dimensions)]
    return math.prod(loops.extents[loop] for loop in own)


def _moved(loops: _Loops) -> str:
    """Return the name of the dimension that the window moves along."""
    return f"x{len(loops.extents)}"


def _shape_only(loops: _Loops, inputs: list[list[str]]) -> list[list[str]]:
    """Return the inside of the window, where no input has it as a dimension: its extent must be said somewhere."""
    if loops.window is None or any(loops.window[1] in one for one in inputs):
        return []
    return [[f"[{loops.window[1]}]"]]


def _shuffled(draw: Draw, names: list[str]) -> list[str]:
    left, found = list(names), []
    while left:
        found.append(left.pop(draw.between(0, len(left) - 1)))
    return found
