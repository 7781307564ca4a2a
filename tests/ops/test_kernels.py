"""Kernels: what they compute, held against formulas that numpy and PyTorch have for them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from helpers import CONTEXTS, VERIFIER, each_by_mlir_opt
from torch.nn import functional
from torch_mlir import ir
from torch_mlir.dialects.transform.interpreter import apply_named_sequence

from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.ops.drawn.draft import Draft, Drawing
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.drawn.kernels import KERNELS
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.ops.notation import read
from mlir_datagen.ops.structured_operation import unnamed
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.prover import Prover

KERNEL = DRAWN_FAMILIES["kernel"]
AXES = {
    "length": [8, 9], "depth": [5, 6], "height": [6, 7], "width": [7, 8], "batch": [2, 3], "rows": [4, 5],
    "columns": [3, 6], "features": [4, 5],
}  # fmt: skip


def kernel(kind, seed=0):
    found = KERNEL.draw(Drawing(AXES, (kind,)), np.random.default_rng(seed))
    assert found.kind == kind
    return found


def stepped(hx, hy, hz):
    """Return a step of PolyBench's fdtd-2d, inside the border, as its loops say it."""
    hx, hy, hz = hx.clone(), hy.clone(), hz.clone()
    hy[1:] -= 0.5 * (hz[1:] - hz[:-1])
    hx[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
    inner = hz[:-1, :-1] - 0.7 * (hx[:-1, 1:] - hx[:-1, :-1] + hy[1:, :-1] - hy[:-1, :-1])
    return hy[1:], hx[:, 1:], inner[1:, 1:]


def heated(a):
    centre = a[1:-1, 1:-1, 1:-1]
    along = [
        a[2:, 1:-1, 1:-1] - 2 * centre + a[:-2, 1:-1, 1:-1],
        a[1:-1, 2:, 1:-1] - 2 * centre + a[1:-1, :-2, 1:-1],
        a[1:-1, 1:-1, 2:] - 2 * centre + a[1:-1, 1:-1, :-2],
    ]
    return 0.125 * sum(along) + centre


def updated(a, u, v, s, t, y, z):
    a = a + torch.outer(u, v) + torch.outer(s, t)
    x = 1.2 * a.T @ y + z
    return a, x, 1.5 * a @ x


def turned(first, second, cosine, sine):
    numbers = torch.complex(first, second) * torch.complex(cosine, sine).unsqueeze(1)
    return numbers.real, numbers.imag


def complexes(*parts):
    return [torch.complex(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


def of_complex(function):
    """Return a function of real and imaginary parts that gives those of a function of complex numbers."""

    def parts(*given):
        found = function(*complexes(*given))
        return found.real, found.imag

    return parts


def normed(norm, count):
    return lambda value, *weights: norm(value, value.shape[-1:], *weights, *([1e-5] if count == 1 else []))


FORMULAS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softmax": lambda a: torch.softmax(a, -1),
    "layer_norm": normed(functional.layer_norm, 2),
    "rms_norm": normed(functional.rms_norm, 1),
    "bias": lambda a, b: a + b,
    "scale": lambda a: 3 * a,
    "triad": lambda a, b: a + 3 * b,
    "transpose": torch.t,
    "box_2d": lambda a: functional.avg_pool2d(a[None], 3, 1)[0],
    "weighted_3d": lambda a, w: functional.conv3d(a[None, None], w[None, None])[0, 0],
    "rotary": turned,
    "complex_product": of_complex(torch.matmul),
    "complex_adjoint_product": of_complex(lambda a, b: a @ b.mH),
    "complex_trace": of_complex(lambda a, b: torch.einsum("sii->s", a @ b)),
    "color_vector": of_complex(lambda a, v: torch.einsum("sij,sj->si", a, v)),
    "plaquette": lambda *u: torch.stack([torch.trace(each) for each in linked(*complexes(*u))]).real,
    "gemm": lambda a, b, c: 1.5 * a @ b + 1.2 * c,
    "2mm": lambda a, b, c, d: 1.5 * a @ b @ c + 1.2 * d,
    "3mm": lambda a, b, c, d: (a @ b) @ (c @ d),
    "atax": lambda a, x: a.T @ (a @ x),
    "bicg": lambda a, r, p: (a.T @ r, a @ p),
    "mvt": lambda x, a, y, z, w: (x + a @ y, z + a.T @ w),
    "gemver": updated,
    "gesummv": lambda a, x, b: 1.5 * a @ x + 1.2 * b @ x,
    "syrk": lambda a, c: 1.5 * a @ a.T + 1.2 * c,
    "syr2k": lambda a, b, c: 1.5 * (a @ b.T + b @ a.T) + 1.2 * c,
    "doitgen": lambda a, c: a @ c,
    "covariance": lambda a: torch.cov(a.T),
    "correlation": lambda a: torch.corrcoef(a.T),
    "jacobi_1d": lambda a: (a[:-2] + a[1:-1] + a[2:]) / 3,
    "jacobi_2d": lambda a: 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1]),
    "heat_3d": heated,
    "fdtd_2d": lambda ey, hz, ex: stepped(ex, ey, hz),
}
"""Each kernel, from its arguments in the order in which its program first reads them."""


def linked(first, second, fourth, third):
    return first @ second @ third.mH @ fourth.mH


def test_every_kernel_has_its_formula():
    along_axes = {"reduce_sum", "reduce_mean", "reduce_max", "argmax", "gather", "pack"}
    assert set(KERNELS) == set(FORMULAS) | along_axes


def computed(spec):
    torch.manual_seed(0)
    inputs = [torch.randn(one.shape, dtype=torch.float64) for one in spec.graph.arguments]
    return inputs, spec.graph.evaluation()(*inputs)


@pytest.mark.parametrize("kind", FORMULAS)
def test_kernels_are_what_their_formulas_say(kind):
    inputs, found = computed(kernel(kind))
    expected = FORMULAS[kind](*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("kind", "reduce"), [("sum", torch.sum), ("mean", torch.mean), ("max", torch.amax)])
def test_reductions_are_along_the_axes_that_were_drawn(kind, reduce):
    shapes = set()
    for seed in range(20):
        spec = kernel(f"reduce_{kind}", seed)
        inputs, found = computed(spec)
        kept = spec.graph.nodes[0].operation.notation.result.names
        axes = [axis for axis in range(inputs[0].ndim) if f"d{axis}" not in kept]
        assert axes
        torch.testing.assert_close(found, reduce(inputs[0], axes), rtol=1e-11, atol=1e-11)
        shapes.add((inputs[0].ndim, *axes))
    assert len(shapes) >= 10


def test_a_shift_is_an_offset_of_its_map():
    draft = Draft()
    values = draft.argument(6, 5)
    result = draft.generic("x=i+1 y=j+2, x=i+3 y=j+1 -> i j", "sub(a, b)", values, values)
    graph = draft.finish("graph", [result])
    assert draft.shape(result) == (3, 3)
    text = graph.text()
    assert "affine_map<(d0, d1) -> (d0 + 1, d1 + 2)>, affine_map<(d0, d1) -> (d0 + 3, d1 + 1)>" in text
    VERIFIER.verify(text)
    given = torch.arange(30, dtype=torch.float64).reshape(6, 5) ** 2
    torch.testing.assert_close(graph.evaluation()(given), given[1:4, 2:] - given[3:, 1:4])


def test_shifts_stay_inside_of_all_operands():
    assert read("x=i+1, y=i+2, i -> i").add_positions({"x": 8, "y": 7, "i": 5})["i"] == 5
    draft = Draft()
    with pytest.raises(NoGraph, match="the operands of add do not fit together"):
        draft.generic("x=i+1, i -> i", "add(a, b)", draft.argument(5), draft.argument(5))


LOWERED_PACK = """module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %pack = transform.structured.match ops{["linalg.pack"]} in %module
        : (!transform.any_op) -> !transform.op<"linalg.pack">
    transform.structured.lower_pack %pack : (!transform.op<"linalg.pack">)
        -> (!transform.op<"tensor.pad">, !transform.op<"tensor.expand_shape">, !transform.op<"linalg.transpose">)
    transform.yield
  }
}"""


def packs():
    """Return packings in each order of the tiles and of what is inside, with these orders."""
    axes = {"rows": [8, 12], "columns": [8, 20]}
    drawn = [KERNEL.draw(Drawing(axes, ("pack",)), np.random.default_rng(seed)) for seed in range(30)]
    orders = {"i j ii jj": ([0, 1], [0, 1]), "j i ii jj": ([1, 0], [0, 1]), "j i jj ii": ([1, 0], [1, 0])}
    found = [(spec, *orders[" ".join(spec.graph.nodes[0].operation.notation.result.names)]) for spec in drawn]
    assert {tuple(map(tuple, found[1:])) for found in found} == {tuple(map(tuple, one)) for one in orders.values()}
    return found


def test_packing_is_what_mlir_makes_of_its_own_operation_and_pytorch_of_a_view():
    for spec, outer, inner in packs():
        (matrix,), (packed,) = spec.graph.arguments, spec.graph.results
        given = torch.rand(matrix.shape, dtype=torch.float32)
        tiles = [packed.shape[2 + inner.index(place)] for place in range(2)]
        rows, columns = (extent // tile for extent, tile in zip(matrix.shape, tiles, strict=True))
        view = given.reshape(rows, tiles[0], columns, tiles[1])
        expected = view.permute(*(2 * place for place in outer), *(2 * place + 1 for place in inner))
        torch.testing.assert_close(spec.graph.evaluation()(given), expected, rtol=0, atol=0)
        types = [f"tensor<{'x'.join(map(str, one.shape))}xf32>" for one in (matrix, packed)]
        text = (
            f"func.func @pack(%a: {types[0]}) -> {types[1]} {{\n%0 = tensor.empty() : {types[1]}\n"
            f"%1 = linalg.pack %a outer_dims_perm = {outer} inner_dims_pos = {inner} "
            f"inner_tiles = {[tiles[place] for place in inner]} into %0 : {types[0]} -> {types[1]}\n"
            f"return %1 : {types[1]}\n}}"
        )
        context = CONTEXTS.next()
        module, script = (ir.Module.parse(one, context) for one in (text, LOWERED_PACK))
        apply_named_sequence(module.operation, script.body.operations[0], script)
        for one in (str(module), KERNEL.program(spec)):
            result = np.zeros(packed.shape, np.float32)
            CompiledProgram(lower(one, context), 2).bind([given.numpy(), result]).run()
            np.testing.assert_array_equal(result, expected.numpy())


def test_wrong_packings_are_caught():
    planted = []
    for spec, _, _ in packs():
        text, (rows, columns, first, second) = KERNEL.program(spec), spec.graph.results[0].shape
        if rows == columns > 1:
            planted.append((spec, re.sub(r"\((d\d) (.*), (d\d) ", r"(\3 \2, \1 ", text, count=1)))
        if first == second:
            planted.append((spec, re.sub(r" \+ (d\d), (.*) \+ (d\d)\)>", r" + \3, \2 + \1)>", text, count=1)))
    assert len(planted) > 5
    run = compose_config(["check=execute"])
    with Prover(run.check, run.measure, run.sandbox) as prover:
        jobs = [job_of(KERNEL, spec, text, "execute", measure=False) for spec, text in planted]
        stages = [getattr(outcome, "stage", None) for outcome in prover.prove(jobs)]
    assert stages == ["matched"] * len(planted)


def test_packings_parse_on_every_version():
    for version in (16, 19, 22):
        texts, _ = each_by_mlir_opt(version, [KERNEL.program(spec) for spec, _, _ in packs()])
        assert all(texts)


def test_a_window_that_is_written_is_not_summed_up():
    """The columns of an image, which a product with filters makes a convolution of."""
    draft = Draft()
    image = draft.argument(2, 9, 7)
    line = "c h=i*s+k*d w=j+l, [k l] -> i j c k l"
    result = draft.apply(unnamed(line, "a"), [image], {"k": 3, "l": 2, "s": 2, "d": 2})
    graph = draft.finish("graph", [result])
    given = torch.rand(2, 9, 7, dtype=torch.float64)
    columns = torch.stack([given[:, i : i + 5 : 2, j : j + 2] for i in (0, 2, 4) for j in range(6)])
    torch.testing.assert_close(graph.evaluation()(given), columns.reshape(3, 6, 2, 3, 2), rtol=0, atol=0)
    VERIFIER.verify(graph.text())


@pytest.mark.parametrize("word", ["x=i+0", "x=i*s+1", "x=i+1*d"])
def test_what_is_no_shift_is_refused(word):
    with pytest.raises(ValueError, match=re.escape(f"'{word}' is no shift: it has the form h=i+1, by at least 1")):
        read(f"{word} -> i")
