"""The structural hash: what makes no difference to it, and what does."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from helpers import config, golden_program, planned_specs, run_mlir_opt
from hypothesis import given
from hypothesis import strategies as st
from torch_mlir import dialects, ir
from torch_mlir.dialects import affine, arith, func, linalg, scf, tensor  # noqa: F401  (which extend classes)

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.structural_hash import ProgramHasher, attribute_names, structural_hash
from mlir_datagen.ops import FAMILIES

CONTEXT = ir.Context()


def hashed(text):
    return structural_hash(text, CONTEXT)


TYPE = "tensor<4x4xf32>"
# Two products, one of them divided, added: (what a line makes, its text, with the names of values in braces).
LINES = [
    ("zero", "arith.constant 0.0 : f32"),
    ("two", "arith.constant 2.0 : f32"),
    ("empty", f"tensor.empty() : {TYPE}"),
    ("init", f"linalg.fill ins({{zero}} : f32) outs({{empty}} : {TYPE}) -> {TYPE}"),
    ("left", f"linalg.matmul ins({{a}}, {{b}} : {TYPE}, {TYPE}) outs({{init}} : {TYPE}) -> {TYPE}"),
    ("right", f"linalg.matmul ins({{b}}, {{a}} : {TYPE}, {TYPE}) outs({{init}} : {TYPE}) -> {TYPE}"),
    (
        "half",
        "linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],"
        f' iterator_types = ["parallel", "parallel"]}} ins({{right}} : {TYPE}) outs({{empty}} : {TYPE}) {{\n'
        f"^bb0(%x: f32, %y: f32):\n  %q = arith.divf %x, {{two}} : f32\n  linalg.yield %q : f32\n}} -> {TYPE}",
    ),
    ("sum", f"linalg.add ins({{left}}, {{half}} : {TYPE}, {TYPE}) outs({{empty}} : {TYPE}) -> {TYPE}"),
]
VALUES = ["a", "b", *(name for name, _ in LINES)]


def written(lines=LINES, names=None, function="main", arguments=("a", "b"), result="sum"):
    """Return the program, with the values named differently."""
    names = names or {name: f"%{name}" for name in VALUES}

    def filled(text):
        for name, written in names.items():
            text = text.replace(f"{{{name}}}", written)
        return text

    body = "\n".join(f"{names[name]} = {filled(text)}" for name, text in lines)
    signature = ", ".join(f"{names[argument]}: {TYPE}" for argument in arguments)
    return f"func.func @{function}({signature}) -> {TYPE} {{\n{body}\nreturn {names[result]} : {TYPE}\n}}"


BASE = written()


@st.composite
def _orders(draw):
    """Draw an order of the lines in which each comes after what it reads."""
    rest, ordered = list(LINES), []
    while rest:
        made = {"a", "b", *(name for name, _ in ordered)}
        ready = [line for line in rest if all(f"{{{name}}}" not in line[1] for name in VALUES if name not in made)]
        line = draw(st.sampled_from(ready))
        rest.remove(line)
        ordered.append(line)
    return ordered


@given(_orders(), st.permutations(range(len(VALUES))), st.sampled_from(["main", "matmul", "f"]))
def test_order_and_names_make_no_difference(lines, numbers, function):
    names = {name: f"%v{number}" for name, number in zip(VALUES, numbers, strict=True)}
    assert hashed(written(lines, names, function)) == hashed(BASE)


def replaced(*pairs):
    text = BASE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


ADD = "linalg.add ins(%left, %half"
SUM_INTO = f"%half : {TYPE}, {TYPE}) outs("
FILL = f"linalg.fill ins(%zero : f32) outs(%empty : {TYPE}) -> "
SAME = {
    "tag": replaced((ADD, 'linalg.add {tag = "operation_0"} ins(%left, %half')),
    "module name": f"module @network {{\n{BASE}\n}}",
    "empty repeated": replaced(
        ("%sum = ", "%other = tensor.empty() : tensor<4x4xf32>\n%sum = "),
        (f"{SUM_INTO}%empty", f"{SUM_INTO}%other"),
    ),
    "constant in the body": replaced(
        ("^bb0(%x: f32, %y: f32):", "^bb0(%x: f32, %y: f32):\n  %t = arith.constant 2.0 : f32"), ("%x, %two", "%x, %t")
    ),
    "check in the body": replaced(
        ("%q = ", '%c = arith.cmpf one, %x, %two : f32\n  cf.assert %c, "it is two"\n  %q = '),
    ),
    "unread init is filled": replaced(
        (f"{SUM_INTO}%empty", f"{SUM_INTO}%init")
    ),
    "unread init is an argument": replaced(
        ("main(", "main(%into: tensor<4x4xf32>, "),
        (f"{SUM_INTO}%empty", f"{SUM_INTO}%into"),
    ),
    "init is a constant": replaced(
        (FILL, "arith.constant dense<0.0> : ")
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", SAME)
def test_written_differently(how):
    assert hashed(SAME[how]) == hashed(BASE)


MAP = "affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>]"
DIFFERENT = {
    "operation": replaced(("linalg.add", "linalg.sub")),
    "operation in the body": replaced(("arith.divf", "arith.mulf")),
    "operands of the body": replaced(("%x, %two", "%two, %x")),
    "operands": replaced((ADD, "linalg.add ins(%half, %left")),
    "constant": replaced(("constant 2.0", "constant 4.0")),
    "init that is read": replaced(("constant 0.0", "constant 1.0")),
    "init that is read is an argument": replaced(("main(", f"main(%into: {TYPE}, "), ("outs(%init", "outs(%into")),
    "order of arguments": replaced(("main(%a: tensor<4x4xf32>, %b: ", "main(%b: tensor<4x4xf32>, %a: ")),
    "shape": replaced(("4x", "5x")),
    "element type": replaced(("f32", "f64")),
    "map": replaced((MAP, "affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>]")),
    "order of loops": replaced((MAP, MAP.replace("-> (i, j)", "-> (j, i)"))),
    "iterator": replaced(('"parallel", "parallel"]', '"parallel", "reduction"]')),
    "what is returned": replaced(("return %sum", "return %half")),
    "one more operation": replaced(
        ("return", f"%unused = {LINES[4][1].format(a='%a', b='%b', init='%init')}\nreturn")
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_computing_differently(what):
    assert hashed(DIFFERENT[what]) != hashed(BASE)


def test_all_the_different_programs_differ():
    assert len({hashed(text) for text in DIFFERENT.values()}) == len(DIFFERENT)


def test_a_computation_that_is_repeated_is_not_one_that_is_shared():
    twice = [line for line in LINES if line[0] not in ("right", "half", "sum")]
    again = [*twice, ("right", LINES[4][1])]
    added = f"linalg.add ins({{left}}, {{X}} : {TYPE}, {TYPE}) outs({{empty}} : {TYPE}) -> {TYPE}"
    shared = written([*twice, ("sum", added.replace("X", "left"))])
    repeated = written([*again, ("sum", added.replace("X", "right"))])
    assert hashed(shared) != hashed(repeated)


FIRST = {family.name: f"{family.name}_{family.variants[0].name}" for family in FAMILIES.values()}
# MLIR 19 has the loops of the first in another order, gives the body of the second one argument less, and folds the
# conversions of constants that the third has.
OTHERS_IN_19 = ("conv_3d_ncdhw_fcdhw", "map", "fill_rng_2d")
# MLIR 22 does not count the operands of each kind, as later ones do: among the attributes of one that is printed bare.
OTHERS_IN_22 = ("unpack",)
ONE_OF_EACH = [name for family, name in FIRST.items() if family not in OTHERS_IN_19 + OTHERS_IN_22]


@pytest.mark.parametrize(
    "option",
    [
        "--linalg-generalize-named-ops",
        "--mlir-print-op-generic",
        "--mlir-print-debuginfo",
        "--mlir-print-local-scope",
        "--cse",
        "--linalg-generalize-named-ops --cse --mlir-print-debuginfo",
    ],
)
@pytest.mark.parametrize("name", ["base", *ONE_OF_EACH])
def test_what_another_mlir_writes_is_the_same_program(name, option):
    text = BASE if name == "base" else golden_program(name)[2]
    done = run_mlir_opt(22 if "pack" in name else 19, [text], *option.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout != text
    assert hashed(done.stdout) == hashed(text)


def test_programs_of_different_specs_differ():
    planned = planned_specs(config(num_samples=300))
    specs = {(name, spec) for split in planned.values() for name, spec in split}
    assert len(specs) == 300
    assert len({hashed(FAMILIES[name].program(spec)) for name, spec in specs}) == 300


def test_strides_and_dilations_count():
    windows = "func.func @f(%x: tensor<1x1x9x9xf32>, %w: tensor<2x2xf32>, %o: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {{\n%r = linalg.{} {{dilations = dense<{}> : tensor<2xi64>, strides = dense<{}> : tensor<2xi64>}} ins(%x, %w : tensor<1x1x9x9xf32>, tensor<2x2xf32>) outs(%o : tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>\nreturn %r : tensor<1x1x4x4xf32>\n}}"  # noqa: E501
    ways = [
        (kind, dilation, stride)
        for kind in ("pooling_nchw_max", "pooling_nchw_sum")
        for dilation in (1, 2)
        for stride in (1, 2)
    ]
    assert len({hashed(windows.format(*way)) for way in ways}) == len(ways)


def test_attributes_of_other_operations_count():
    pad = "func.func @f(%x: tensor<4xf32>, %v: f32) -> tensor<7xf32> {{\n%r = tensor.pad %x low[{}] high[{}] {{\n^bb0(%i: index):\n tensor.yield %v : f32\n}} {} : tensor<4xf32> to tensor<7xf32>\nreturn %r : tensor<7xf32>\n}}"  # noqa: E501
    assert hashed(pad.format(1, 2, "")) != hashed(pad.format(2, 1, ""))
    assert hashed(pad.format(1, 2, "")) == hashed(pad.format(1, 2, '{tag = "x"}'))


def test_a_resource_counts_by_its_type_whatever_its_name():
    def resource(name, type_):
        blob = '{-# dialect_resources: { builtin: { NAME: "0x080000000100000000000000" } } #-}'
        text = (
            f"func.func @f() -> {type_} {{\n%c = arith.constant dense_resource<NAME> : {type_}\nreturn %c : {type_}\n}}"
        )
        return (text + blob).replace("NAME", name)

    assert hashed(resource("one", "tensor<1xi64>")) == hashed(resource("two", "tensor<1xi64>"))
    assert hashed(resource("one", "tensor<1xi64>")) != hashed(resource("one", "tensor<2xi32>"))


def test_text_that_is_not_mlir_is_refused():
    with pytest.raises(UserError, match=r'not a valid MLIR module: loc\("-":2:'):
        hashed("func.func @f() {\n  nothing\n}")


def test_a_program_with_branches_is_refused():
    with pytest.raises(UserError, match=r"func\.func has 2 blocks; only programs without branches are allowed"):
        hashed("func.func @f() {\n  cf.br ^next\n^next:\n  return\n}")


CALLED = """func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.exp ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
func.func private @g(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.log ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = func.call @NUMBER(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}"""
IN_A_BODY = """func.func @f(%a: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%a : tensor<4xf32>) outs(%a : tensor<4xf32>) {
  ^bb0(%x: f32, %o: f32):
    BODY
    linalg.yield %y : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}"""
FORALL = """func.func @f(%a: tensor<8xf32>) -> tensor<8xf32> {
  %z = arith.constant 1.0 : f32
  %r = scf.forall (%i) in (NUMBER) shared_outs(%o = %a) -> tensor<8xf32> {
    %t = tensor.from_elements %z : tensor<1xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %t into %o[%i][1][1] : tensor<1xf32> into tensor<8xf32>
    }
  }
  return %r : tensor<8xf32>
}"""
LOOP = (
    "%y = affine.for %i = 0 to NUMBER iter_args(%v = %x) -> f32 { %w = arith.addf %v, %v : f32 affine.yield %w : f32 }"
)
SWITCH = (
    "%i = linalg.index 0 : index\n"
    "%y = scf.index_switch %i -> f32 case NUMBER { scf.yield %x : f32 } default { scf.yield %o : f32 }"
)


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        (CALLED, "f", "g"),
        (FORALL, "4", "8"),
        (IN_A_BODY.replace("BODY", LOOP), "4", "8"),
        (IN_A_BODY.replace("BODY", SWITCH), "1", "2"),
    ],
    ids=["call", "forall", "affine.for", "index_switch"],
)
def test_attributes_count_of_operations_whose_classes_the_bindings_extend(text, one, other):
    assert hashed(text.replace("NUMBER", one)) != hashed(text.replace("NUMBER", other))


def test_every_class_that_the_bindings_extend_keeps_the_attributes_of_its_definition():
    extended = 0
    for found in [found.name for found in pkgutil.iter_modules(dialects.__path__) if found.name.endswith("_ops_gen")]:
        for defined in vars(importlib.import_module(f"{dialects.__name__}.{found}")).values():
            if inspect.isclass(defined) and issubclass(defined, ir.OpView) and defined is not ir.OpView:
                names = {name for name, value in vars(defined).items() if isinstance(value, property)}
                extended += len(defined.__subclasses__())
                assert all(names <= attribute_names(kind) for kind in (defined, *defined.__subclasses__())), defined
    assert extended >= 10
    assert not {"attributes", "location", "name", "operands"} & attribute_names(scf.ForOp)


def writing(map_, loops=1, body="linalg.yield %one : f32", outs="%empty"):
    """Return a program with a product that starts from what a generic writes into a tensor, whole or in part."""
    return f"""func.func @f(%a: {TYPE}, %into: {TYPE}) -> {TYPE} {{
  %empty = tensor.empty() : {TYPE}
  %one = arith.constant 1.0 : f32
  %full = linalg.fill ins(%one : f32) outs(%empty : {TYPE}) -> {TYPE}
  %w = linalg.generic {{indexing_maps = [affine_map<{map_}>], iterator_types = [{", ".join(['"parallel"'] * loops)}]}}
    outs({outs} : {TYPE}) {{
  ^bb0(%o: f32):
    {body}
  }} -> {TYPE}
  %r = linalg.matmul ins(%a, %a : {TYPE}, {TYPE}) outs(%w : {TYPE}) -> {TYPE}
  return %r : {TYPE}
}}"""


PARTS = ("(i) -> (i, 0)", "(i) -> (i, i)")


def test_writing_a_part_is_not_filling():
    ways = [writing("(i, j) -> (i, j)", loops=2), *map(writing, PARTS)]
    assert len(set(map(hashed, ways))) == len(ways)
    assert hashed(ways[0]) == hashed(writing("(i, j) -> (j, i)", loops=2))


@pytest.mark.parametrize("part", PARTS)
def test_what_is_written_in_part_counts(part):
    inits = ("%empty", "%full", "%into")
    # With a body that is more than a constant, too.
    place = "%p = linalg.index 0 : index\n%q = arith.index_cast %p : index to i32\n%s = arith.sitofp %q : i32 to f32\n"
    for body in ("linalg.yield %one : f32", f"{place}linalg.yield %s : f32"):
        assert len({hashed(writing(part, 1, body, init)) for init in inits}) == len(inits)
        assert len({hashed(writing("(i, j) -> (i, j)", 2, body, init)) for init in inits}) == 1


@pytest.mark.parametrize("type_", ["memref<4xf32>", "memref<*xf32>", "memref<?xf32, strided<[1], offset: ?>>"])
def test_a_program_on_buffers_is_refused(type_):
    """Between operations on buffers the order counts, which the hash does not look at."""
    text = f"func.func @f(%a: {type_}) -> index {{\n%c = arith.constant 0 : index\n%d = memref.dim %a, %c : {type_}\nreturn %d : index\n}}"  # noqa: E501
    with pytest.raises(UserError, match="is a buffer; only operations on tensors are allowed"):
        hashed(text)


def test_a_fill_that_is_both_where_a_result_starts_and_an_input_is_data():
    """Such a program is no single operation with an initial value, so that it has one hash."""

    def maximum(second):
        return f"""func.func @f(%a: {TYPE}, %b: {TYPE}) -> {TYPE} {{
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : {TYPE}
  %init = linalg.fill ins(%zero : f32) outs(%empty : {TYPE}) -> {TYPE}
  %r = linalg.max ins(%a, {second} : {TYPE}, {TYPE}) outs(%init : {TYPE}) -> {TYPE}
  return %r : {TYPE}
}}"""

    hasher = ProgramHasher()
    assert len(hasher.hashes(maximum("%b"))) == 2
    assert len(hasher.hashes(maximum("%init"))) == 1
