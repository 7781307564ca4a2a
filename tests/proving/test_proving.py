"""What checking proves: planted defects are found, and cost one program each."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import GOLDEN_SPECS, config, golden_program
from planting import (
    CRASHES,
    LOOPS_FOR_EVER,
    NEEDS_MEMORY,
    assert_funnel_adds_up,
    fill_with,
    insert,
    matmuls,
    plant,
    rejects_by_defect,
    starts_from,
    writes_one_element,
)
from warm_scripts import run_warm

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import left_over, lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.programs.spec import spec_json
from mlir_datagen.proving.job import job_of, job_of_program
from mlir_datagen.proving.prover import Prover
from mlir_datagen.proving.reference import compare, difference
from mlir_datagen.proving.settings import CheckSettings


def index_of(path):
    return pq.read_table(path / "train.parquet").to_pylist()


def test_wrong_results_are_rejected_with_what_repeats_them(monkeypatch, tmp_path):
    run = matmuls(tmp_path)
    planted = plant(
        monkeypatch,
        run,
        constant=lambda text: fill_with(text, "1.0"),
        infinity=lambda text: fill_with(text, "0x7F800000"),
        not_a_number=lambda text: fill_with(text, "0x7FC00000"),
        unwritten=writes_one_element,
    )
    outcome = generate(run)
    assert_funnel_adds_up(outcome)
    assert outcome.manifest["funnel"]["kept"] == 20
    rejects = rejects_by_defect(outcome, planted)
    assert {reject["stage"] for reject in rejects.values()} == {"matched"}
    assert "differs from the reference by" in rejects["constant"]["reason"]
    for name in ("infinity", "not_a_number", "unwritten"):
        assert rejects[name]["reason"] == "the result holds NaN or inf"
    assert all(0 <= row["error"] < 1e-6 for row in index_of(outcome.path))
    assert outcome.manifest["check"] == {
        "level": "execute",
        "fraction": 1.0,
        "checked_beyond_parsing": 20,
        "matched": 20,
    }

    python, script, *arguments = shlex.split(rejects["constant"]["command"])
    assert (python, script) == ("python", "scripts/program.py")
    again = run_warm("program", *arguments, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "largest error relative to the reference" in again.stderr


def test_a_hang_a_crash_and_too_much_memory_cost_one_program_each(monkeypatch, tmp_path):
    run = matmuls(tmp_path, sandbox__seconds=2)
    planted = plant(
        monkeypatch,
        run,
        hang=starts_from(LOOPS_FOR_EVER),
        crash=starts_from(CRASHES),
        memory=starts_from(NEEDS_MEMORY),
    )
    outcome = generate(run)
    assert_funnel_adds_up(outcome)
    assert outcome.manifest["funnel"]["kept"] == 20
    rejects = rejects_by_defect(outcome, planted)
    assert {reject["stage"] for reject in rejects.values()} == {"executed"}
    assert "longer than sandbox.seconds, 2 s" in rejects["hang"]["reason"]
    # The second had no memory, which nobody can tell from a signal: nothing is guessed.
    assert {rejects[defect]["reason"] for defect in ("crash", "memory")} == {"it crashed its process (SIGSEGV)"}


def test_lowering_rejects_what_no_pass_knows(monkeypatch, tmp_path):
    run = matmuls(tmp_path, check__level="lower")
    printed = "    %v = arith.constant dense<1.0> : vector<4xf32>\n    vector.print %v : vector<4xf32>\n"
    planted = plant(
        monkeypatch,
        run,
        refused=lambda text: insert(text, "    gpu.barrier\n"),
        left_over=lambda text: insert(text, printed),
    )
    outcome = generate(run)
    assert_funnel_adds_up(outcome)
    assert outcome.manifest["funnel"]["lowered"] == 20
    assert "executed" not in outcome.manifest["funnel"]
    rejects = rejects_by_defect(outcome, planted)
    assert {reject["stage"] for reject in rejects.values()} == {"lowered"}
    assert "memory side effects" in rejects["refused"]["reason"]
    assert rejects["left_over"]["reason"] == "vector.print is left over, which is not of the LLVM dialect"
    assert {(row["check"], row["error"]) for row in index_of(outcome.path)} == {("lower", None)}


@pytest.mark.parametrize(
    ("level", "measure", "stage"),
    [
        ("lower", False, "lowered"),
        ("lower", True, "executed"),
        ("parse", True, "executed"),
        ("execute", False, "executed"),
    ],
)
def test_a_program_that_ends_its_process_fails_the_last_stage_that_it_may_have_come_to(level, measure, stage):
    assert job_of(*golden_program("matmul_mk_kn"), level, measure).last_stage == stage


@pytest.mark.parametrize(
    ("source", "family", "reference"),
    [
        ("random", "matmul", "matmul"),
        ("suite", "matmul", "matmul"),
        ("extracted", "matmul", None),
        ("network", "network", None),
    ],
)
def test_the_families_programs_have_a_reference_and_what_comes_from_networks_has_none(source, family, reference):
    _, spec, text = golden_program("matmul_mk_kn")
    matrix = Argument("input", "a", "f32", (2, 2))
    stored = StoredProgram("train", "one", source, family, spec_json(spec), "", text, (matrix, matrix), (matrix,))
    assert job_of_program(stored, "execute", measure=False).family == reference


def test_what_is_left_over_is_named_and_not_the_casts_around_it():
    names = ["builtin.module", "llvm.func", "builtin.unrealized_conversion_cast", "vector.print"]
    assert left_over(names) == "vector.print is left over, which is not of the LLVM dialect"
    assert left_over(names[:3]).startswith("builtin.unrealized_conversion_cast is left over")
    assert left_over(names[:2]) is None


def test_a_part_of_the_programs_is_checked_chosen_by_the_seed(tmp_path):
    def checked(folder, **changes):
        run = config(
            num_samples=120,
            split_ratios={"train": 1},
            check={"level": "lower", "fraction": 0.4},
            output_dir=str(tmp_path / folder),
            **changes,
        )
        outcome = generate(run)
        levels = {row["sha256"]: row["check"] for row in index_of(outcome.path)}
        assert set(levels.values()) == {"lower", "parse"}
        number = list(levels.values()).count("lower")
        expected = {"level": "lower", "fraction": 0.4, "checked_beyond_parsing": number, "matched": 0}
        assert outcome.manifest["check"] == expected
        # Four standard deviations of 120 draws.
        assert abs(number - 0.4 * 120) < 4 * (120 * 0.4 * 0.6) ** 0.5
        return levels

    one = checked("one")
    assert checked("again") == one
    other = checked("other", seed=1)
    both = set(one) & set(other)
    assert any(one[digest] != other[digest] for digest in both)


def test_not_a_number_never_passes():
    reference = np.array([1.0, 2.0])
    for wrong in (np.nan, np.inf, -np.inf):
        with pytest.raises(Rejection, match="NaN or inf"):
            difference(np.array([1.0, wrong], np.float32), reference)
    assert difference(np.array([1.0, 2.0], np.float32), reference)[:2] == (0, 0)


def execute(jobs):
    run = config(["matmul"])
    with Prover(CheckSettings("execute", 1.0), run.measure, run.sandbox) as prover:
        return list(prover.prove(jobs))


def test_every_variant_matches_its_reference():
    """The golden programs, whose average pooling is dilated; and a maximum that starts from zero does not."""
    programs = {name: golden_program(name) for name in GOLDEN_SPECS}
    jobs = [job_of(family, spec, text, "execute", measure=False) for family, spec, text in programs.values()]
    family, spec, text = programs["pooling_max"]
    assert "0xFF800000" in text
    jobs.append(job_of(family, spec, text.replace("0xFF800000", "0.0"), "execute", measure=False))
    *proofs, from_zero = execute(jobs)
    for name, proof in zip(programs, proofs, strict=True):
        assert isinstance(proof, Proof), (name, proof)
        assert proof.error <= programs[name][0].tolerance(programs[name][1]), name
    assert programs["pooling_avg"][1].fields["dilation_width"] == 2
    assert isinstance(from_zero, Failure)
    assert from_zero.stage == "matched"


def test_the_tolerance_is_no_more_than_rounding_explains():
    """Sums in single precision, one product after the other, have errors near it; a thousandth more is refused."""
    generator = np.random.default_rng(0)
    family, spec, _ = golden_program("matmul_mk_kn")
    lhs, rhs = (generator.uniform(-1, 1, operand.shape).astype(np.float32) for operand in family.graph(spec).arguments)
    m, n, depth = spec.dimensions
    total = np.zeros((m, n), np.float32)
    for k in range(depth):
        total += lhs[:, k : k + 1] * rhs[k]
    errors = difference(total, lhs.astype(np.float64) @ rhs)
    assert errors.relative < family.tolerance(spec) < 50 * errors.relative
    # It follows the square root of the number of products.
    wide = spec._replace(dimensions=(m, n, 100 * depth))
    assert 8 < family.tolerance(wide) / family.tolerance(spec) < 10


def test_where_terms_cancel_rounding_is_relative_to_what_is_added_up():
    family, spec, _ = golden_program("matmul_mk_kn")
    spec = spec._replace(dimensions=(1, 1, 3))
    job = job_of(family, spec, family.program(spec), "execute", measure=False)
    arguments = [np.array([[1000.0, 1.0, -1000.0]], np.float32), np.array([[1.0], [1e-3], [1.0]], np.float32)]
    right = np.array([[1e-3]], np.float32)
    assert compare(job, arguments, [right + np.float32(6e-5)]).relative > 10 * family.tolerance(spec)
    with pytest.raises(Rejection, match=r"differs from the reference by 1\.0e-02; rounding explains"):
        compare(job, arguments, [right + np.float32(1e-2)])


def test_a_difference_is_relative_to_the_largest_value():
    assert difference(np.array([1.1e-9, 0.0]), np.array([1e-9, 0.0]))[:2] == (1e-10, 0.1)
    assert difference(np.array([1000.0, 1.5]), np.array([1000.0, 1.0]))[:2] == (0.5, 5e-4)


def _repeating(text):
    return text.replace("ins(%lhs, %rhs", "ins(%lhs, %lhs")


def _up_to_six(text):
    return re.sub(
        r"( +)(%\d) = arith.maximumf (.*)\n",
        r"\1%six = arith.constant 6.0 : f32\n\1%low = arith.maximumf \3\n\1\2 = arith.minimumf %low, %six : f32\n",
        text,
    )


def test_faults_that_few_numbers_or_ordinary_ones_would_hide():
    """Results of a single element, which are right by chance half of the time; bounds far from zero; small errors."""
    one = FAMILIES["elementwise"].spec_from_json({"kind": "max", "shape": [1]})
    jobs = []
    for name in ("matmul_mk_kn", "conv2d_nchw_fchw", "pooling_avg", "batch_matmul_bmk_bkn", "relu_generic_2d"):
        family, spec, text = golden_program(name)
        jobs.append((family, spec, fill_with(text, "1.0e-3")))
    family, spec, text = golden_program("pooling_max")
    jobs += [(family, spec, text.replace("0xFF800000", bound)) for bound in ("-1.0", "-6.5504e4")]
    family, spec, text = golden_program("relu_generic_2d")
    jobs.append((family, spec, _up_to_six(text)))
    family = FAMILIES["elementwise"]
    jobs += [(family, one, _repeating(family.program(one))), (family, one, family.program(one))]
    *failures, right = execute([job_of(*job, "execute", measure=False) for job in jobs])
    for (_, _, text), failure in zip(jobs, failures, strict=False):
        assert isinstance(failure, Failure), text
        assert failure.stage == "matched", (text, failure)
    assert right.error == 0


def test_where_a_maximum_starts_shows_on_negative_images_alone():
    family, spec, text = golden_program("pooling_max")
    generator = np.random.default_rng(0)
    (image,) = (generator.random(operand.shape, np.float32) for operand in family.graph(spec).arguments)

    def passes(program, argument):
        result = np.full(family.graph(spec).results[0].shape, np.nan, np.float32)
        CompiledProgram(lower(program, Contexts().next()), 2).bind([argument, result]).run()
        return difference(result, family.reference_result(spec, [argument])).relative <= family.tolerance(spec)

    from_zero = text.replace("0xFF800000", "0.0")
    assert passes(text, image)
    assert passes(text, -image)
    assert passes(from_zero, image)
    assert not passes(from_zero, -image)
    # So this is what the check runs it on.
    assert max(family.input_range(spec)) <= 0


def test_comparing_without_pytorch_says_what_to_install(monkeypatch, tmp_path):
    import mlir_datagen.proving.prover as prover

    monkeypatch.setattr(prover, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"PyTorch, which is not installed.*pip install.*or use check=lower"):
        generate(config(check__level="execute", output_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_script_without_a_main_guard_can_use_workers(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from mlir_datagen.pipeline.one_program import prove_program\n"
        "from mlir_datagen.programs.spec import parse_spec\n"
        'spec = parse_spec("matmul", \'{"m": 4, "n": 4, "k": 4}\')\n'
        'print(prove_program("matmul", spec, "lower", measure=False).level)\n'
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "lower\n"), done.stderr
