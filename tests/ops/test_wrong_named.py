"""Wrong fills, random numbers, softmaxes and packings: each is found when it is run, and right ones match."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
from typed_programs import Case, problems

from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec
from mlir_datagen.ops.graph_json import NoGraph, graph_from_fields
from mlir_datagen.ops.notation import read
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.programs.spec import parse_spec
from mlir_datagen.proving.job import job_of

NUMBERS = {"f": "1.0", "b": "1.0", "i": "1"}
EVERY = 3
"""The variants take turns with the element types: each type has this part of them."""
Planted = Iterator[tuple[OpFamily, Spec, dict[str, str]]]
"""Programs, and by what is wrong with them wrong ones."""


def has_turn(name: str, word: str, place: int) -> bool:
    return (FAMILIES[name].dtypes.index(word) + place) % EVERY == 0


def spec_of(name: str, word: str, place: int, *sizes: int) -> tuple[OpFamily, Spec]:
    family = FAMILIES[name]
    return family, family.spec(family.variants[place].of(word), *sizes)


def fills(word: str) -> Planted:
    for place in range(4):
        if not has_turn("fill", word, place):
            continue
        family, spec = spec_of("fill", word, place, *range(3, 4 + place))
        text, given = family.program(spec), f"tensor.extract %value[] : tensor<{word}>"
        yield family, spec, {"another value": text.replace(given, f"arith.constant {NUMBERS[word[0]]} : {word}")}


def random_numbers(word: str) -> Planted:
    family, spec = spec_of("fill_rng_2d", word, 0, 7, 5)
    text, generic = family.program(spec), family.program(spec, GENERIC)
    turned = re.sub(r"linalg\.index (\d)", lambda found: f"linalg.index {1 - int(found[1])}", generic)
    yield (
        family,
        spec,
        {
            "exchanged bounds": text.replace("ins(%0, %1,", "ins(%1, %0,"),
            "another seed": text.replace("tensor.extract %seed[] : tensor<i32>", "arith.constant 7 : i32"),
            "exchanged loops": turned,
            "one loop twice": generic.replace("linalg.index 1", "linalg.index 0"),
            "another multiplier": generic.replace("1103515245", "1103515241"),
            "another increment": generic.replace("constant 12345 ", "constant 12347 "),
            "another range": generic.replace("2.3283064e-10", "4.6566129e-10"),
        },
    )


def softmaxes(word: str) -> Planted:
    for place, variant in enumerate(FAMILIES["softmax"].variants):
        if variant.rank == 1 or not has_turn("softmax", word, place):
            continue
        family, spec = spec_of("softmax", word, place, *[6] * variant.rank)
        text, generic = family.program(spec), family.program(spec, GENERIC)
        axis = int(re.search(r"dimension\((\d)\)", text)[1])
        yield (
            family,
            spec,
            {
                "another axis": text.replace(f"dimension({axis})", f"dimension({0 if axis else 1})"),
                "another base": generic.replace("math.exp ", "math.exp2 "),
                "without the largest": generic.replace("arith.subf %in, %in_0", "arith.addf %in, %in_0"),
                "not divided": generic.replace("arith.divf", "arith.mulf"),
                "by the largest": generic.replace("arith.addf %out", "arith.maximumf %out"),
            },
        )


def packings(word: str) -> Planted:
    for name, sizes in (("pack", (8, 8, 4, 4)), ("unpack", (2, 2, 4, 4))):
        for place in range(3):
            if not has_turn(name, word, place):
                continue
            family, spec = spec_of(name, word, place, *sizes)
            text, generic = family.program(spec), family.program(spec, GENERIC)
            inner, other = ("[0, 1]", "[1, 0]") if "inner_dims_pos = [0, 1]" in text else ("[1, 0]", "[0, 1]")
            permuted = "outer_dims_perm = [1, 0] "
            turned = text.replace(permuted, "") if permuted in text else text.replace("inner_d", f"{permuted}inner_d")
            # As a tile that is one to the other side would be read.
            stride = generic.replace(" * 4 + d2, ", " * 1 + d2, ").replace(" * 4 + d3, ", " * 1 + d3, ")
            yield (
                family,
                spec,
                {
                    "within a tile": text.replace(f"inner_dims_pos = {inner}", f"inner_dims_pos = {other}"),
                    "of the tiles": turned,
                    "another tile": stride,
                },
            )


KINDS = {"fill": fills, "fill_rng_2d": random_numbers, "softmax": softmaxes, "pack": packings}


@pytest.mark.parametrize("kind", KINDS)
def test_right_ones_of_every_element_type_match_and_wrong_ones_are_found(kind):
    cases = []
    for word in FAMILIES[kind].dtypes:
        for family, spec, wrong in KINDS[kind](word):
            right = [family.program(spec), family.program(spec, GENERIC)]
            assert not set(wrong.values()) & set(right)
            planted = [*((None, text) for text in right), *wrong.items()]
            cases += [
                Case(family, word, defect, job_of(family, spec, text, "execute", measure=False))
                for defect, text in planted
            ]
    assert sum(case.defect is not None for case in cases) >= len(FAMILIES[kind].dtypes)
    assert problems(cases) == []


def test_random_numbers_are_those_of_the_generator():
    """In whole numbers of Python, which do not overflow."""
    family, spec = spec_of("fill_rng_2d", "f64", 0, 3, 4)
    low, high, seed = -30.0, 50.0, 123456
    found = family.pytorch(spec)(*(torch.tensor(one, dtype=torch.float64) for one in (low, high, seed)))
    for row in range(3):
        for column in range(4):
            state = (row + seed) * 1103515245 + 12345
            state = ((column + state) * 1103515245 + 12345) % 2**32
            signed = state - 2**32 if state >= 2**31 else state
            expected = (2147483647 + signed) * (high - low) * 2.3283064e-10 + low
            assert float(found[row, column]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("line", "body", "shape"),
    [("() -> +m", "a", []), ("m -> m", "f64(add(a, 1))", [4]), ("i ii -> m=i*ii+ii", "a", [4, 2])],
)
def test_what_is_for_named_operations_alone_is_no_node_of_a_strangers_graph(line, body, shape):
    node = {"line": line, "body": body, "inputs": [0], **({} if shape else {"sizes": {"m": 4}})}
    fields = {"arguments": [{"dtype": "f64", "shape": shape}], "nodes": [node], "results": [1]}
    with pytest.raises(NoGraph, match="which is for named operations alone"):
        graph_from_fields("f", fields)


def test_a_window_of_the_result_says_where_it_is_written():
    notation, sizes = read("i j ii jj -> m=i*ii+ii n=j*jj+jj"), {"i": 3, "j": 2, "ii": 4, "jj": 5}
    assert notation.loops == ("i", "j", "ii", "jj")
    assert notation.reductions == ()
    assert notation.add_positions(dict(sizes)) == {**sizes, "m": 12, "n": 10}
    with pytest.raises(ValueError, match="writes along 'k', which nothing is read along"):
        read("i j -> m=i*k+k j")


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("softmax", '{"kind": "last", "shape": [4, 1]}', "the softmax of one element is 1"),
        (
            "pack",
            '{"kind": "rows", "rows": 6, "columns": 4, "tile_rows": 4, "tile_columns": 2}',
            "tile_rows must be a divisor of rows",
        ),
    ],
)
def test_specs_that_are_none_say_why(name, spec, message):
    with pytest.raises(UserError, match=message):
        parse_spec(name, spec)
