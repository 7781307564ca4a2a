"""Planting defects in matmuls, since the emitters have none of their own, and looking at what became of them."""

from __future__ import annotations

import json
import re

from helpers import config, planned_specs

from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily
from mlir_datagen.ops.node_text import in_rows
from mlir_datagen.ops.structured_operation import NAMED
from mlir_datagen.programs.proof import STAGES
from mlir_datagen.programs.spec import spec_json

MATMUL = FAMILIES["matmul"]


def real_program(family):
    """Return what writes a family's programs, whatever is planted."""
    return lambda spec, form=NAMED: OpFamily.programs(family, spec, [form])[0]


REAL = real_program(MATMUL)


def plant_programs(monkeypatch, family, program):
    """Have a family write other programs: those that a function of a spec and a form returns."""

    def programs(spec, forms):
        columns = [in_rows(dimension, len(forms)) for dimension in spec.dimensions]
        specs = [family.spec(spec.variant, *row) for row in zip(*columns, strict=True)]
        return [program(*pair) for pair in zip(specs, forms, strict=True)]

    monkeypatch.setattr(family, "programs", programs)


def insert(text, operations):
    """Put operations at the beginning of a program's function."""
    return re.sub(r"(\n  func\.func .*\{\n)", rf"\1{operations}", text, count=1)


def fill_with(text, literal):
    """Start the sums of a matmul from something else than zero."""
    return text.replace("arith.constant 0.0", f"arith.constant {literal}")


# Each of these gives a number that the matmul then starts from: what nobody needs would be removed.
LOOPS_FOR_EVER = """    %zero = arith.constant 0.0 : f32
    %half = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %start = scf.while (%x = %one) : (f32) -> f32 {
      %always = arith.cmpf oge, %x, %zero : f32
      scf.condition(%always) %x : f32
    } do {
    ^bb0(%x: f32):
      %next = arith.mulf %x, %half : f32
      scf.yield %next : f32
    }
"""
CRASHES = """    %far = arith.constant 1000000000000 : index
    %start = tensor.extract %lhs[%far, %far] : tensor<MxKxf32>
"""
NEEDS_MEMORY = """    %one = arith.constant 1.0 : f32
    %zero = arith.constant 0 : index
    %empty = tensor.empty() : tensor<1073741824xf32>
    %filled = linalg.fill ins(%one : f32) outs(%empty : tensor<1073741824xf32>) -> tensor<1073741824xf32>
    %start = tensor.extract %filled[%zero] : tensor<1073741824xf32>
"""
SLOW = """    %low = arith.constant 0 : index
    %many = arith.constant 600000000 : index
    %step = arith.constant 1 : index
    %half = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %start = scf.for %i = %low to %many step %step iter_args(%x = %one) -> (f32) {
      %next = arith.mulf %x, %half : f32
      scf.yield %next : f32
    }
"""


def starts_from(operations):
    """Return a defect: the sums of a matmul start from what these operations give."""

    def planted(text):
        operand = re.search(r"%lhs: (tensor<\S+>)", text)[1]
        filled = text.replace("ins(%0 : f32)", "ins(%start : f32)")
        return insert(filled, operations.replace("tensor<MxKxf32>", operand))

    return planted


def writes_one_element(text):
    """Have a matmul return a tensor of which only one element was written."""
    type_ = re.search(r"-> (tensor<\S+>) \{", text)[1]
    operations = f"""    %i = arith.constant 0 : index
    %one = tensor.extract %3[%i, %i] : {type_}
    %empty = tensor.empty() : {type_}
    %partly = tensor.insert %one into %empty[%i, %i] : {type_}
    return %partly"""
    return text.replace("    return %3", operations)


def matmuls(tmp_path, **changes):
    """Return the config of 20 of the 27 matmuls of the dimensions 2, 3, 4."""
    grid = {f"ops__matmul__grid__{axis}": [2, 3, 4] for axis in "mnk"}
    splits = {"num_samples": 20, "split_ratios": {"train": 1}}
    return config(["matmul"], output_dir=str(tmp_path), **{**grid, **splits, "check__level": "execute", **changes})


def plant(monkeypatch, run, **defects):
    """Have some matmuls of a run's plan emitted with a defect each; return the spec of each defect's program."""
    specs = dict(zip(defects, (spec for _, spec in planned_specs(run)["train"]), strict=False))
    texts = {specs[name]: defect(REAL(specs[name])) for name, defect in defects.items()}
    plant_programs(monkeypatch, MATMUL, lambda spec, form: texts.get(spec) or REAL(spec, form))
    return {name: spec_json(spec) for name, spec in specs.items()}


def rejects_of(outcome):
    path = outcome.path / "rejects.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rejects_by_defect(outcome, planted):
    """Return the reject of each defect, and make sure that there is no other."""
    by_spec = {reject["spec"]: reject for reject in rejects_of(outcome)}
    assert set(by_spec) == set(planted.values())
    return {name: by_spec[spec] for name, spec in planted.items()}


def assert_funnel_adds_up(outcome):
    funnel, rejects = outcome.manifest["funnel"], rejects_of(outcome)
    stages = [stage for stage in STAGES if stage in funnel]
    assert set(funnel) == {"attempted", *stages, "kept", "rejected"}
    left = funnel["attempted"]
    for stage in stages:
        assert funnel["rejected"][stage] == sum(reject["stage"] == stage for reject in rejects)
        left -= funnel["rejected"][stage]
        assert funnel[stage] == left
    assert funnel["kept"] == left == sum(sum(counts.values()) for counts in outcome.manifest["counts"].values())
    assert funnel["attempted"] == left + len(rejects)
