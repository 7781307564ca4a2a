"""The structure that a dataset's index has, held against what an mlir-opt that is not ours makes of each program."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from helpers import GOLDEN_SPECS, each_by_mlir_opt, golden_program

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.suites import parse_suites
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.pipeline.run import generate

OPERATION = re.compile(
    r"(?P<name>%\S+) = linalg\.(?:generic \{indexing_maps = \[(?P<maps>.*)\], iterator_types = \[(?P<iterators>.*)\]\}"
    r"|map \{ \S+ \}) ins\((?P<inputs>.*?)(?: : (?P<input_types>.*?))?\) outs\(\S+ : (?P<result_type>.*?)\)"
)
FILL = re.compile(r"ins\(%(?!extracted)\S+ : \w+\) outs")
"""What makes an initial value, and is no operation of its own: of a constant, and not of an argument's element."""
OPTIONS = ("--linalg-generalize-named-ops", "--mlir-print-local-scope")
OTHERS_IN_19 = {"conv_3d_ncdhw_fcdhw": "its loops are in another order there, n od oh ow f kd kh kw c"}


class Structure(NamedTuple):
    """The operations of a program that compute something.

    Attributes:
        loops: of each, the bound and the iterator of its loops.
        maps: of each, the indexing maps of its operands.
        results: of each, the shape and the element type.
        edges: the places of two of them, where the second reads what the first computes.
    """

    loops: list[list[tuple[int, str]]]
    maps: list[list[str]]
    results: list[tuple[list[int], str]]
    edges: list[tuple[int, int]]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """The rows of a dataset: each variant of each grid family once, and many of each family of drawn graphs."""
    folder = tmp_path_factory.mktemp("indexed")
    drawn = [f"ops=[{','.join(DRAWN_FAMILIES)}]"]
    drawn += [f"ops.{name}.dtypes=[{','.join(family.dtypes)}]" for name, family in DRAWN_FAMILIES.items()]
    run = compose_config([*drawn, "dims=small", "num_samples=250", "storage=parquet", f"output_dir={folder}"])
    programs = {}
    for name in GOLDEN_SPECS:
        family, spec, _ = golden_program(name)
        programs[name] = {"op": family.name, **spec.fields}
    suites = parse_suites({"every_variant": {"version": 1, "digest": None, "programs": programs}})
    made = generate(dataclasses.replace(run, suites=suites)).path
    rows = [row for path in sorted(made.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert {row["family"] for row in rows} == set(PROGRAM_FAMILIES)
    return rows


def tensor_of(type_: str) -> tuple[list[int], str]:
    *shape, dtype = re.fullmatch(r"tensor<(.*)>|(.*)", type_).expand(r"\1\2").split("x")
    return [int(extent) for extent in shape], dtype


def read(text: str) -> Structure:
    """Read the structure in what mlir-opt prints of a program without named operations."""
    found, numbers = Structure([], [], [], []), {}
    for line in text.splitlines():
        assert "linalg." not in line or OPERATION.search(line) or re.search(r"linalg\.(yield|index)", line), line
        if (match := OPERATION.search(line)) is None or FILL.search(line):
            continue
        names, result = match["inputs"].split(", "), tensor_of(match["result_type"])
        operands = [*map(tensor_of, match["input_types"].split(", ")), result]
        # What is mapped, is so element by element.
        whole = ", ".join(f"d{place}" for place in range(len(result[0])))
        maps = re.findall(r"affine_map<.*?\)>", match["maps"] or f"affine_map<({whole}) -> ({whole})>" * len(operands))
        maps = list(map(plain, maps))
        iterators = re.findall(r"parallel|reduction", match["iterators"] or "parallel" * len(result[0]))
        found.loops.append([(bound_of(place, maps, operands), one) for place, one in enumerate(iterators)])
        found.maps.append(maps)
        found.results.append(result)
        numbers[match["name"]] = len(found.loops) - 1
        read_here = sorted({numbers[name] for name in names if name in numbers})
        found.edges.extend((producer, len(found.loops) - 1) for producer in read_here)
    return found


def plain(map_: str) -> str:
    """Return a map with its sums in one order, in which MLIR 22 has them as well, and without factors of 1."""
    before, _, results = map_.replace(" * 1)", ")").replace(" * 1,", ",").replace(" * 1 ", " ").partition(" -> (")
    return f"{before} -> ({', '.join(' + '.join(sorted(one.split(' + '))) for one in results[:-2].split(', '))})>"


def bound_of(loop: int, maps: list[str], operands: list[tuple[list[int], str]]) -> int:
    """Return the extent of what an operand has along a loop."""
    for map_, (shape, _) in zip(maps, operands, strict=True):
        for expression, extent in zip(map_.partition(" -> (")[2][:-2].split(", "), shape, strict=bool(shape)):
            if expression == f"d{loop}":
                return extent
    raise AssertionError(f"nothing has an extent along loop {loop} of {maps}")


def ours(row: dict[str, Any]) -> Structure:
    """Return what the index says of a program; its maps follow from its spec."""
    family = PROGRAM_FAMILIES[row["family"]]
    nodes = family.graph(family.spec_of_json(row["spec"])).nodes
    return Structure(
        [[(loop["bound"], loop["iterator"]) for loop in node["loops"]] for node in row["nodes"]],
        [list(map(plain, node.operation.indexing_maps(node.sizes))) for node in nodes],
        [(node["shape"], node["dtype"]) for node in row["nodes"]],
        sorted({(edge["producer"], edge["consumer"]) for edge in row["edges"]}, key=lambda edge: edge[::-1]),
    )


def with_body(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the same program with a body: those of some families have one as `linalg.generic` only."""
    family = PROGRAM_FAMILIES[row["family"]]
    if family.name not in ("pack", "unpack"):
        return row
    spec = family.spec_of_json(row["spec"])
    return {**row, "mlir": family.program(spec, GENERIC), "minimum_mlir": family.versions(spec, GENERIC).oldest}


@pytest.mark.parametrize("version", [19, 22])
def test_loops_iterators_maps_and_edges_are_those_that_mlir_prints(version, indexed):
    rows = [row for row in map(with_body, indexed) if row["minimum_mlir"] <= version]
    assert {row["family"] for row in rows} == set(PROGRAM_FAMILIES)
    # A softmax is one operation, and four where it has bodies: tests/ops hold these against MLIR's own.
    known = [row for row in rows if row["family"] != "softmax"]
    texts = [row["mlir"] for row in known]
    printed, errors = each_by_mlir_opt(version, texts, *OPTIONS)
    assert not errors
    others = set()
    for row, text in zip(known, printed, strict=True):
        expected, found = ours(row), read(text)
        assert found.results == expected.results, row["name"]
        if found != expected:
            others.add(row["family"])
            assert sorted(found.loops[0]) == sorted(expected.loops[0])
        assert [tuple(loop.values()) for loop in row["loops"]] in expected.loops, row["name"]
    assert others == (set(OTHERS_IN_19) if version == 19 else set())


def test_a_changed_map_or_loop_would_show(indexed):
    row = next(row for row in indexed if row["family"] == "matmul")
    (text,), _ = each_by_mlir_opt(19, [row["mlir"]], *OPTIONS)
    assert read(text) == ours(row)
    for right, wrong in (("(d0, d2)", "(d2, d0)"), ('"reduction"', '"parallel"'), ("64x128xf32", "63x128xf32")):
        assert read(text.replace(right, wrong)) != ours(row), right
