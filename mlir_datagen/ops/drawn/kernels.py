"""Kernels that schedulers are tried on: activations, norms, reductions, stencils, PolyBench's, lattice contractions.

All of it is `linalg.generic` but for products of matrices. Argmax is two of them: the largest elements, and the first
places that have such; PyTorch's own, and torch-mlir's one operation with two results, give the same places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from mlir_datagen.ops.drawn import rules
from mlir_datagen.ops.drawn.draft import Draft, Draw
from mlir_datagen.ops.drawn.polybench import POLYBENCH
from mlir_datagen.ops.structured_operation import unnamed

Kernel = Callable[[Draft, Draw], int | tuple[int, ...]]
_Complex = tuple[int, int]
"""The numbers of two values: a real and an imaginary part."""

_COLORS = 3
_ARRAY_AXES = ("depth", "batch", "rows", "columns")
"""Of arrays of up to four dimensions, the last ones."""
_TILES = (2, 4, 8, 16, 32)
_PLACES = "i64"
"""The element type of numbers of elements, as PyTorch has them."""


def bias(draft: Draft, draw: Draw) -> int:
    """Emit rows to each of which the same is added."""
    value = _rows(draft, draw)
    return draft.with_columns("add(a, b)", value, draft.argument(draft.shape(value)[1]))


def scale(draft: Draft, draw: Draw) -> int:
    """Emit STREAM's scale (McCalpin, 1995)."""
    return draft.elementwise("mul(a, 3.0)", draft.argument(draw.size("length")))


def triad(draft: Draft, draw: Draw) -> int:
    """Emit STREAM's triad."""
    length = draw.size("length")
    return draft.elementwise("add(a, mul(b, 3.0))", draft.argument(length), draft.argument(length))


def transpose(draft: Draft, draw: Draw) -> int:
    """Emit a transposed matrix."""
    return draft.generic("i j -> j i", "a", _rows(draft, draw))


def box_2d(draft: Draft, draw: Draw) -> int:
    """Emit the means of an element and its eight neighbours: a stencil of nine points."""
    image = draft.argument(draw.size("height", least=3), draw.size("width", least=3))
    return draft.windowed("x=i+k y=j+l, [k l] -> i j", "mul(a, number)", image, k=3, l=3, number=1 / 9)


def weighted_3d(draft: Draft, draw: Draw) -> int:
    """Emit a stencil of 27 points whose weights are an argument."""
    volume = draft.argument(*(draw.size(axis, least=3) for axis in ("depth", "height", "width")))
    line = "x=i+k y=j+l z=m+n, k l n -> i j m"
    return draft.generic(line, "mul(a, b)", volume, draft.argument(3, 3, 3), accumulate="add")


def rotary(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit pairs of features that are turned by an angle for each row (Su et al., RoFormer, 2021).

    Both halves of the features, and the angles' cosines and sines, are arguments.
    """
    rows, heads, features = draw.size("rows"), draw.size("batch"), draw.size("features")
    first, second = draft.argument(rows, heads, features), draft.argument(rows, heads, features)
    cosine, sine = draft.argument(rows, features), draft.argument(rows, features)
    line = "r h f, r h f, r f, r f -> r h f"
    return (
        draft.generic(line, "sub(mul(a, c), mul(b, d))", first, second, cosine, sine),
        draft.generic(line, "add(mul(a, d), mul(b, c))", first, second, cosine, sine),
    )


def complex_product(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit A B for a small complex matrix A and B at each site of a lattice, as the colors of quarks have them."""
    sites = draw.size("length")
    return _multiplied(draft, "s i k", "s k j", "s i j", _matrices(draft, sites), _matrices(draft, sites))


def complex_adjoint_product(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit A B† at each site: the second matrix transposed and conjugated."""
    sites = draw.size("length")
    left, right = _matrices(draft, sites), _matrices(draft, sites)
    return _multiplied(draft, "s i k", "s j k", "s i j", left, right, is_conjugated=True)


def complex_trace(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit tr(A B) at each site."""
    sites = draw.size("length")
    return _multiplied(draft, "s i k", "s k i", "s", _matrices(draft, sites), _matrices(draft, sites))


def color_vector(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit A v at each site: what a hop of a quark takes."""
    sites = draw.size("length")
    vector = draft.argument(sites, _COLORS), draft.argument(sites, _COLORS)
    return _multiplied(draft, "s i j", "s j", "s i", _matrices(draft, sites), vector)


def plaquette(draft: Draft, draw: Draw) -> int:
    """Emit Re tr(A B C† D†) at each site, the real part of Wilson's loop around a square (1974): C† D† is (D C)†."""
    sites = draw.size("length")
    first, second, third, fourth = (_matrices(draft, sites) for _ in range(4))
    there = _multiplied(draft, "s i k", "s k j", "s i j", first, second)
    back = _multiplied(draft, "s i k", "s k j", "s i j", fourth, third)
    line, body = "s i j, s i j, s i j, s i j -> s", "add(mul(a, c), mul(b, d))"
    return draft.generic(line, body, *there, *back, accumulate="add")


def _multiplied(
    draft: Draft, left: str, right: str, result: str, a: _Complex, b: _Complex, is_conjugated: bool = False
) -> _Complex:
    """Emit a contraction of complex numbers, of the second's conjugate if asked for."""
    line = f"{left}, {left}, {right}, {right} -> {result}"
    parts = ("sub(mul(a, c), mul(b, d))", "add(mul(a, d), mul(b, c))")
    if is_conjugated:
        parts = ("add(mul(a, c), mul(b, d))", "sub(mul(b, c), mul(a, d))")
    real, imaginary = (draft.generic(line, part, *a, *b, accumulate="add") for part in parts)
    return real, imaginary


def _matrices(draft: Draft, sites: int) -> _Complex:
    return draft.argument(sites, _COLORS, _COLORS), draft.argument(sites, _COLORS, _COLORS)


def _rows(draft: Draft, draw: Draw) -> int:
    return draft.argument(draw.size("rows"), draw.size("columns"))


def _on_rows(function: Callable[[Draft, int], int]) -> Kernel:
    return lambda draft, draw: function(draft, _rows(draft, draw))


def _reduction(accumulate: str, is_mean: bool = False) -> Kernel:
    """Return a kernel that reduces an array of two to four dimensions along some of them, not all."""

    def kernel(draft: Draft, draw: Draw) -> int:
        axes = _ARRAY_AXES[-draw.one_of([2, 3, 4]) :]
        value = draft.argument(*(draw.size(axis, least=2) for axis in axes))
        names = [f"d{place}" for place in range(len(axes))]
        kept = draw.one_of([some for count in range(1, len(names)) for some in itertools.combinations(names, count)])
        result = draft.generic(f"{' '.join(names)} -> {' '.join(kept)}", "a", value, accumulate=accumulate)
        if not is_mean:
            return result
        number = math.prod(draft.shape(value)) // math.prod(draft.shape(result))
        return draft.elementwise("div(a, number)", result, number=number)

    return kernel


def pack(draft: Draft, draw: Draw) -> int:
    """Emit a matrix as rows of tiles, in one of the orders of products of such: `linalg.pack` without padding."""
    value = _rows(draft, draw)
    tiles = [draw.one_of([tile for tile in _TILES if extent % tile == 0]) for extent in draft.shape(value)]
    result = draw.one_of(["i j ii jj", "j i ii jj", "j i jj ii"])
    line = f"m=i*ii+ii n=j*jj+jj -> {result}"
    return draft.apply(unnamed(line, "a"), [value], dict(zip(("ii", "jj"), tiles, strict=True)))


def argmax(draft: Draft, draw: Draw) -> int:
    """Emit where along one axis of an array of two to four dimensions the first of the largest elements is."""
    value, names, axis = _array(draft, draw, [2, 3, 4])
    whole, kept = " ".join(names), " ".join(name for name in names if name != axis)
    largest = draft.generic(f"{whole} -> {kept}", "a", value, accumulate="max")
    extent = draft.shape(value)[names.index(axis)]
    # Where nothing is equal to the largest, as where it is not a number, that is the extent: no place.
    place = f"select(equal(a, b), index({axis}), number)"
    return draft.generic(
        f"{whole}, {kept} -> {kept}", place, value, largest, accumulate="min", number=extent, dtype=_PLACES
    )


def gather(draft: Draft, draw: Draw) -> int:
    """Emit the slices of an array of two or three dimensions whose numbers along one axis are an argument."""
    value, names, axis = _array(draft, draw, [2, 3])
    looked_up, result = (" ".join(other if name == axis else name for name in names) for other in (f"{axis}@b", "n"))
    return draft.generic(f"{looked_up}, n -> {result}", "a", value, draft.argument(draw.size("length"), dtype=_PLACES))


def _array(draft: Draft, draw: Draw, ranks: list[int]) -> tuple[int, list[str], str]:
    """Add an array of one of some ranks; return it, the names of its dimensions, and one of these."""
    axes = _ARRAY_AXES[-draw.one_of(ranks) :]
    names = [f"d{place}" for place in range(len(axes))]
    return draft.argument(*(draw.size(axis, least=2) for axis in axes)), names, draw.one_of(names)


KERNELS: dict[str, Kernel] = {
    **{
        name: _on_rows(getattr(rules, name))
        for name in ("relu", "sigmoid", "silu", "gelu", "softmax", "layer_norm", "rms_norm")
    },
    "reduce_sum": _reduction("add"),
    "reduce_mean": _reduction("add", is_mean=True),
    "reduce_max": _reduction("max"),
    "argmax": argmax,
    "gather": gather,
    "pack": pack,
    **{
        kernel.__name__: kernel
        for kernel in (
            bias,
            scale,
            triad,
            transpose,
            box_2d,
            weighted_3d,
            rotary,
            complex_product,
            complex_adjoint_product,
            complex_trace,
            color_vector,
            plaquette,
        )
    },
    **POLYBENCH,
}
"""By name: the kinds of the family `kernel`."""
