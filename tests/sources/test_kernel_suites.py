"""The suites of drawn kinds: that their names say what they are, and that each is what its comment claims."""

from __future__ import annotations

import re

import pytest
import yaml
from helpers import REPOSITORY, run_mlir_opt

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.suites import defined_suite
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.drawn.blocks import BLOCKS
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.drawn.polybench import POLYBENCH
from mlir_datagen.programs.batch import ListedBlock
from mlir_datagen.programs.spec import spec_of_fields
from mlir_datagen.sources.suites import digest_of, listed_programs

SUITES = ("polybench", "blocks", "memory_bound", "llm_ops")


def entries(name):
    """Return a suite's entries as its file has them; Hydra reads the package from the first line only."""
    text = (REPOSITORY / "conf" / "suites" / f"{name}.yaml").read_text()
    assert text.splitlines()[0] == f"# @package suites.{name}"
    names = re.findall(r"^  (\w+):", text, re.MULTILINE)
    found = yaml.safe_load(text)
    assert set(found) == {"version", "digest", "programs"}
    assert names == list(found["programs"])
    return found["programs"]


def graphs(name):
    """Return name, entry and graph of each program."""
    found = []
    for program, entry in entries(name).items():
        fields = {key: value for key, value in entry.items() if key != "op"}
        family = PROGRAM_FAMILIES[entry["op"]]
        found.append((program, entry, family.graph(spec_of_fields(entry["op"], fields))))
    return found


@pytest.mark.parametrize("name", SUITES)
def test_programs_are_those_of_the_digest_and_parse_elsewhere(name):
    suite = defined_suite(name)
    programs = listed_programs(suite)
    texts = [program.text for program in programs]
    assert digest_of([program.name for program in programs], ListedBlock(programs).digests) == suite.digest
    assert len(set(texts)) == len(texts) == len(entries(name))
    for version in (19, 22):
        done = run_mlir_opt(version, texts)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SUITES)
def test_names_say_what_the_programs_are(name):
    for program, entry in entries(name).items():
        kind, draw = entry.get("kind", entry["op"]), entry.get("draw")
        label = program.removeprefix("polybench_")
        if draw is not None:
            numbers = [one for size in draw.values() for one in (size if isinstance(size, list) else [size])]
        elif entry["op"] in ("relu", "elementwise"):
            numbers = entry["shape"]
        elif entry["op"] == "kernel":
            (argument,), (node,) = entry["arguments"], entry["nodes"]
            read, _, kept = node["line"].partition(" -> ")
            along = [one for one in read.split() if one not in kept.split()]
            assert label.endswith(f"_along_{'_'.join(along)}")
            assert node["accumulate"] == {"reduce_sum": "add", "reduce_max": "max"}[kind]
            label, numbers = label.partition("_along_")[0], argument["shape"]
        elif entry["op"] == "pooling":
            continue
        else:
            numbers = [entry[axis] for axis in ("batch", "m", "k", "n") if axis in entry]
        assert label == f"{kind}_{'_'.join(map(str, numbers))}"


def test_polybench_has_every_kernel_at_two_sizes_and_computes_as_much_as_its_loops():
    kinds = [entry["kind"] for entry in entries("polybench").values()]
    assert sorted(kinds) == sorted([*POLYBENCH, *POLYBENCH])
    flops = {program.removeprefix("polybench_"): graph.flops for program, _, graph in graphs("polybench")}
    assert flops["gemm_1000_1100_1200"] == 2 * 1000 * 1100 * 1200 + 3 * 1000 * 1100
    assert flops["2mm_800_900_1100_1200"] == 2 * 800 * 900 * (1100 + 1200) + 3 * 800 * 1200
    assert flops["3mm_800_900_1100_1000_1200"] == 2 * (800 * 1000 * 900 + 900 * 1200 * 1100 + 800 * 900 * 1100)
    assert flops["atax_390_410"] == 4 * 390 * 410


def test_there_is_a_block_of_every_kind():
    assert {entry["kind"] for entry in entries("blocks").values()} == set(BLOCKS)


def test_what_is_said_to_be_bound_by_memory_computes_little():
    for program, _, graph in graphs("memory_bound"):
        assert graph.flops < 4 * graph.bytes_moved, program
        # More than the first caches hold, and less than a small machine's memory.
        assert 1 << 22 < graph.bytes_moved < 1 << 30, program


def test_a_decoder_is_what_its_sizes_make_of_it():
    """The products of one token are as many as the parameters of a layer and of the classifier, twice."""
    hidden, shared, inner, vocabulary, context = 2048, 8 * 64, 8192, 128256, 2048
    by_name = {program: graph for program, _, graph in graphs("llm_ops")}
    for tokens in (1, 128, 2048):
        products = {
            f"matmul_{tokens}_{hidden}_{hidden}": 2, f"matmul_{tokens}_{hidden}_{shared}": 2,
            f"matmul_{tokens}_{hidden}_{inner}": 2, f"matmul_{tokens}_{inner}_{hidden}": 1,
        }  # fmt: skip
        flops = sum(count * by_name[program].flops for program, count in products.items())
        assert flops == 2 * tokens * (2 * hidden**2 + 2 * hidden * shared + 3 * hidden * inner)
    assert by_name[f"batch_matvec_1_{vocabulary}_{hidden}"].flops == 2 * vocabulary * hidden
    assert by_name["batch_matmul_8_4_64_2048"].flops == 2 * hidden * context
    assert by_name["batch_matmul_32_2048_64_2048"].flops == 2 * hidden * context**2


def test_all_of_a_decoder_lowers():
    contexts = Contexts()
    for program in listed_programs(defined_suite("llm_ops")):
        lower(program.text, contexts.next())


def test_a_kind_and_its_sizes_are_a_spec():
    spec = DRAWN_FAMILIES["block"].spec_from_json({"kind": "mlp", "draw": {"rows": 3, "columns": 4, "features": 5}})
    assert [one.shape for one in spec.graph.arguments] == [(3, 4), (4, 5), (5,), (5, 4), (4,)]
    assert DRAWN_FAMILIES["block"].spec_from_json(spec.fields) == spec
    typed = DRAWN_FAMILIES["kernel"].spec_from_json({"kind": "scale", "draw": {"length": 3}, "dtype": "f16"})
    assert [one.dtype for one in typed.graph.values] == ["f16", "f16"]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("{op: block, kind: mlp, draw: {rows: 3, columns: 4}}", "is not a program of block: it lacks features"),
        ("{op: block, kind: mlp, draw: {rows: 0}}", "rows is 0, and its sizes must be whole numbers of at least 1"),
        ("{op: block, kind: mlp, draw: {rows: a}}", "rows is 'a', and its sizes must be whole numbers"),
        ("{op: block, kind: mlp, draw: {rows: 3, columns: 4, features: 5, width: 6}}", "it has no width"),
        (
            "{op: block, kind: mlp, draw: {rows: 3, columns: 4, features: [5, 6]}}",
            "features takes 1 numbers, and not 2",
        ),
        (
            "{op: block, kind: residual, draw: {batch: 1, channels: [3], height: 8, width: 8}}",
            "channels needs more numbers than 1",
        ),
        (
            "{op: block, kind: conv_bias_relu, draw: {batch: 1, channels: 3, height: 8, width: 4, kernel: 5}}",
            "kernel is 5, and must be at most 4",
        ),
        ("{op: kernel, kind: box_2d, draw: {height: 2, width: 8}}", "height is 2, and must be at least 3"),
        ("{op: kernel, kind: softmax, draw: {rows: 8, columns: 1}}", "there is no softmax of such sizes"),
        ("{op: kernel, kind: jacobi, draw: {length: 9}}", "its kind must be one of relu, sigmoid"),
        ("{op: kernel, kind: reduce_sum, draw: {rows: 9}}", "its sizes do not say which of its forms it has"),
        (
            "{op: kernel, kind: scale, draw: 7}",
            "beside draw, which has its sizes, it has a kind and perhaps a dtype, and",
        ),
        (
            "{op: kernel, kind: scale, draw: {length: 9}, more: 1}",
            "it has a kind and perhaps a dtype, and nothing else",
        ),
        ("{op: kernel, kind: scale, draw: {length: 9}, dtype: bf16}", "its dtype must be one of f32, f64, f16"),
        ("{op: kernel, kind: scale, draw: {length: 9}, dtype: [f32]}", "its dtype must be one of f32, f64, f16"),
        ("{op: generic, kind: add, draw: {extent: 9}}", "its sizes do not say which of its forms it has"),
        ("{op: kernel, kind: scale, arguments: [], nodes: [], results: []}", "its results are some of its nodes"),
    ],
)
def test_bad_programs_are_refused_for_a_reason(program, message):
    with pytest.raises(UserError, match=re.escape(message)):
        compose_config(["ops=[]", f"+suites.own={{version: 1, digest: null, programs: {{a: {program}}}}}"])
