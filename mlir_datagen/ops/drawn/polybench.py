"""The kernels of PolyBench/C 4.2.1 (Pouchet, Yuki) that structured operations say, with random sizes.

Said of its 30 are 17: `2mm`, `3mm`, `atax`, `bicg`, `correlation`, `covariance`, `doitgen`, `gemm`, `gemver`,
`gesummv`, `mvt`, `syrk`, `syr2k`, and of the stencils one step inside the border: `fdtd_2d`, `heat_3d`, `jacobi_1d`,
`jacobi_2d`. They are in single precision, of which PolyBench has most in double.
`syrk` and `syr2k` compute the whole symmetric matrix and not a triangle of it, `correlation` has no guard against
columns that hardly vary, and `fdtd_2d` no source at its border.

The other 13 cannot be said. Iteration spaces are boxes, and `symm` and `trmm` read triangles. In the others an element
follows from one that the same operation writes: `adi`, `cholesky`, `deriche`, `durbin`, `floyd-warshall`,
`gramschmidt`, `lu`, `ludcmp`, `nussinov`, `seidel-2d`, `trisolv`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mlir_datagen.ops.drawn.draft import Draft, Draw

_ALPHA, _BETA = 1.5, 1.2
"""The numbers that PolyBench's own initialization has."""
_SCALED_SUM = f"add(mul(a, {_ALPHA}), mul(b, {_BETA}))"
_PRODUCT = "mul(a, b)"
_PAIR, _TRIPLE = {"k": 2}, {"k": 3}
"""How many elements a window has."""


def gemm(draft: Draft, draw: Draw) -> int:
    """Emit alpha A B + beta C."""
    product = draft.named("matmul", *_factors(draft, draw))
    return draft.elementwise(_SCALED_SUM, product, draft.argument(*draft.shape(product)))


def two_products(draft: Draft, draw: Draw) -> int:
    """Emit 2mm: alpha A B C + beta D."""
    product = draft.named("matmul", *_factors(draft, draw))
    second = draft.named("matmul", product, draft.argument(draft.shape(product)[1], draw.size("features")))
    return draft.elementwise(_SCALED_SUM, second, draft.argument(*draft.shape(second)))


def three_products(draft: Draft, draw: Draw) -> int:
    """Emit 3mm: (A B) (C D)."""
    left = draft.named("matmul", *_factors(draft, draw))
    inner, columns = draw.size("features"), draw.size("columns")
    right = draft.named("matmul", draft.argument(draft.shape(left)[1], inner), draft.argument(inner, columns))
    return draft.named("matmul", left, right)


def atax(draft: Draft, draw: Draw) -> int:
    """Emit Aᵀ (A x)."""
    matrix = draft.argument(draw.size("rows"), draw.size("columns"))
    product = _times_vector(draft, matrix, draft.argument(draft.shape(matrix)[1]))
    return _transposed_times_vector(draft, matrix, product)


def bicg(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit Aᵀ r and A p: parts of the biconjugate gradient method."""
    rows, columns = draw.size("rows"), draw.size("columns")
    matrix = draft.argument(rows, columns)
    return (
        _transposed_times_vector(draft, matrix, draft.argument(rows)),
        _times_vector(draft, matrix, draft.argument(columns)),
    )


def mvt(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit x + A y and z + Aᵀ w, of a square matrix."""
    extent = draw.size("rows")
    matrix = draft.argument(extent, extent)
    first, y, second, w = (draft.argument(extent) for _ in range(4))
    return (
        draft.named("add", first, _times_vector(draft, matrix, y)),
        draft.named("add", second, _transposed_times_vector(draft, matrix, w)),
    )


def gemver(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit B = A + u vᵀ + s tᵀ, x = beta Bᵀ y + z and w = alpha B x."""
    extent = draw.size("rows")
    matrix = draft.argument(extent, extent)
    u, v, s, t, y, z = (draft.argument(extent) for _ in range(6))
    sums = draft.generic("i j, i, j, i, j -> i j", "add(add(a, mul(b, c)), mul(d, e))", matrix, u, v, s, t)
    x = draft.elementwise(f"add(mul(a, {_BETA}), b)", _transposed_times_vector(draft, sums, y), z)
    return sums, x, draft.elementwise(f"mul(a, {_ALPHA})", _times_vector(draft, sums, x))


def gesummv(draft: Draft, draw: Draw) -> int:
    """Emit alpha A x + beta B x, of square matrices."""
    extent = draw.size("rows")
    first, second, vector = draft.argument(extent, extent), draft.argument(extent, extent), draft.argument(extent)
    return draft.elementwise(_SCALED_SUM, *(_times_vector(draft, one, vector) for one in (first, second)))


def syrk(draft: Draft, draw: Draw) -> int:
    """Emit alpha A Aᵀ + beta C."""
    matrix = draft.argument(draw.size("rows"), draw.size("columns"))
    product = draft.generic("i k, j k -> i j", _PRODUCT, matrix, matrix, accumulate="add")
    return draft.elementwise(_SCALED_SUM, product, draft.argument(*draft.shape(product)))


def syr2k(draft: Draft, draw: Draw) -> int:
    """Emit alpha (A Bᵀ + B Aᵀ) + beta C."""
    rows, columns = draw.size("rows"), draw.size("columns")
    first, second = draft.argument(rows, columns), draft.argument(rows, columns)
    line, body = "i k, j k, i k, j k -> i j", "add(mul(a, b), mul(c, d))"
    product = draft.generic(line, body, first, second, second, first, accumulate="add")
    return draft.elementwise(_SCALED_SUM, product, draft.argument(*draft.shape(product)))


def doitgen(draft: Draft, draw: Draw) -> int:
    """Emit the product of an array of three dimensions with a matrix (multiresolution analysis)."""
    extent = draw.size("columns")
    array, matrix = draft.argument(draw.size("rows"), draw.size("features"), extent), draft.argument(extent, extent)
    return draft.generic("r q s, s p -> r q p", _PRODUCT, array, matrix, accumulate="add")


def covariance(draft: Draft, draw: Draw) -> int:
    """Emit the covariances of columns."""
    data = draft.argument(draw.size("rows", least=2), draw.size("columns"))
    rows, _ = draft.shape(data)
    products = _products_of_columns(draft, _centred(draft, data))
    return draft.elementwise("div(a, number)", products, number=rows - 1)


def correlation(draft: Draft, draw: Draw) -> int:
    """Emit the correlations of columns, of enough rows that each varies."""
    data = draft.argument(draw.size("rows", least=4), draw.size("columns"))
    rows, _ = draft.shape(data)
    centred = _centred(draft, data)
    squares = draft.generic("i j -> j", "mul(a, a)", centred, accumulate="add")
    deviation = draft.elementwise("sqrt(div(a, number))", squares, number=rows)
    line, body = "i j, j -> i j", "div(a, mul(b, number))"
    return _products_of_columns(draft, draft.generic(line, body, centred, deviation, number=math.sqrt(rows)))


def jacobi_1d(draft: Draft, draw: Draw) -> int:
    """Emit the means of an element and its two neighbours."""
    values = draft.argument(draw.size("length", least=3))
    return draft.windowed("x=i+k, [k] -> i", "mul(a, number)", values, **_TRIPLE, number=1 / 3)


def jacobi_2d(draft: Draft, draw: Draw) -> int:
    """Emit the means of an element and its four neighbours: of both lines through it, which both have it."""
    values = draft.argument(draw.size("height", least=3), draw.size("width", least=3))
    down = draft.windowed("x=i+k y, [k] -> i y", "a", values, **_TRIPLE)
    across = draft.windowed("x y=j+k, [k] -> x j", "a", values, **_TRIPLE)
    line = "i y=j+1, x=i+1 j, x=i+1 y=j+1 -> i j"
    return draft.generic(line, "mul(0.2, sub(add(a, b), c))", down, across, values)


def heat_3d(draft: Draft, draw: Draw) -> int:
    """Emit an element and an eighth of its second differences along three axes: a stencil of seven points."""
    values = draft.argument(*(draw.size(axis, least=3) for axis in ("depth", "height", "width")))
    lines = [
        draft.windowed(line, "a", values, **_TRIPLE)
        for line in ("x=i+k y z, [k] -> i y z", "x y=j+k z, [k] -> x j z", "x y z=l+k, [k] -> x y l")
    ]
    # Each line has the element itself, which is subtracted twice, three times; and it is there once more.
    line = "i y=j+1 z=l+1, x=i+1 j z=l+1, x=i+1 y=j+1 l, x=i+1 y=j+1 z=l+1 -> i j l"
    return draft.generic(line, "mul(0.125, sub(add(add(a, b), c), d))", *lines, values)


def fdtd_2d(draft: Draft, draw: Draw) -> tuple[int, ...]:
    """Emit a step of the finite-difference time-domain method: both electric fields and, from these, the magnetic one.

    The difference of an element and the one before is twice the element less the sum of both.
    """
    shape = draw.size("height", least=3), draw.size("width", least=3)
    horizontal, vertical, magnetic = (draft.argument(*shape) for _ in range(3))
    step = "sub(a, mul(0.5, sub(add(b, b), c)))"
    pairs = draft.windowed("x=i+k y, [k] -> i y", "a", magnetic, **_PAIR)
    vertical = draft.generic("x=i+1 y, x=i+1 y, i y -> i y", step, vertical, magnetic, pairs)
    pairs = draft.windowed("x y=j+k, [k] -> x j", "a", magnetic, **_PAIR)
    horizontal = draft.generic("x y=j+1, x y=j+1, x j -> x j", step, horizontal, magnetic, pairs)
    across = draft.windowed("x c=j+k, [k] -> x j", "a", horizontal, **_PAIR)
    down = draft.windowed("r=i+k y, [k] -> i y", "a", vertical, **_PAIR)
    line = "x=i+1 y=j+1, x=i+1 c=j+1, x=i+1 j, r=i+1 y=j+1, i y=j+1 -> i j"
    body = "sub(a, mul(0.7, add(sub(add(b, b), c), sub(add(d, d), e))))"
    return vertical, horizontal, draft.generic(line, body, magnetic, horizontal, across, vertical, down)


def _factors(draft: Draft, draw: Draw) -> tuple[int, int]:
    inner = draw.size("features")
    return draft.argument(draw.size("rows"), inner), draft.argument(inner, draw.size("columns"))


def _times_vector(draft: Draft, matrix: int, vector: int) -> int:
    return draft.generic("i j, j -> i", _PRODUCT, matrix, vector, accumulate="add")


def _transposed_times_vector(draft: Draft, matrix: int, vector: int) -> int:
    return draft.generic("i j, i -> j", _PRODUCT, matrix, vector, accumulate="add")


def _products_of_columns(draft: Draft, data: int) -> int:
    return draft.generic("k i, k j -> i j", _PRODUCT, data, data, accumulate="add")


def _centred(draft: Draft, data: int) -> int:
    """Emit the differences from the means of columns."""
    total = draft.generic("i j -> j", "a", data, accumulate="add")
    mean = draft.elementwise("div(a, number)", total, number=draft.shape(data)[0])
    return draft.with_columns("sub(a, b)", data, mean)


POLYBENCH: dict[str, Callable[[Draft, Draw], int | tuple[int, ...]]] = {
    "gemm": gemm,
    "2mm": two_products,
    "3mm": three_products,
    "atax": atax,
    "bicg": bicg,
    "mvt": mvt,
    "gemver": gemver,
    "gesummv": gesummv,
    "syrk": syrk,
    "syr2k": syr2k,
    "doitgen": doitgen,
    "covariance": covariance,
    "correlation": correlation,
    "jacobi_1d": jacobi_1d,
    "jacobi_2d": jacobi_2d,
    "heat_3d": heat_3d,
    "fdtd_2d": fdtd_2d,
}
"""By PolyBench's names, with underscores."""
