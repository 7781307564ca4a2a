"""Programs in other forms: the same programs in the same splits, written as MLIR 19 and main, or 22, parse them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import config, run_mlir_opt
from planting import MATMUL, REAL, plant_programs
from warm_scripts import run_warm

from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate
from mlir_datagen.verification import verify_dataset

OPS = list(FAMILIES)
MIXED = {"named": 1, "generic": 1, "category": 1}


def made(folder, form, **changes):
    return generate(config(OPS, output_dir=str(folder), form=form, num_samples=84, **changes)).path


def rows_of(dataset):
    return {split: pq.read_table(dataset / f"{split}.parquet").to_pylist() for split in ("train", "test")}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    forms = {"named": {}, "generic": {"generic": 1}, "category": {"category": 2}, "mixed": MIXED}
    return {name: made(folder, form) for name, form in forms.items()}


def test_a_program_is_in_the_same_split_in_every_form(datasets):
    specs = {
        name: {split: [(row["family"], row["spec"]) for row in rows] for split, rows in rows_of(dataset).items()}
        for name, dataset in datasets.items()
    }
    assert specs["named"] == specs["generic"] == specs["category"] == specs["mixed"]
    texts = {name: {row["sha256"] for row in rows_of(dataset)["train"]} for name, dataset in datasets.items()}
    assert not texts["named"] & texts["generic"] - {
        row["sha256"] for row in rows_of(datasets["named"])["train"] if row["family"] == "relu"
    }


def test_the_columns_say_the_form_and_who_parses_it(datasets):
    for name, dataset in datasets.items():
        rows = [row for split in rows_of(dataset).values() for row in split]
        forms = Counter(row["form"] for row in rows)
        assert set(forms) == {"named": {"named", "generic"}, "generic": {"generic"}}.get(
            name, {"named", "generic", "category"}
        )
        for row in rows:
            kinds = {"linalg.generic": "generic", "linalg.contract": "category", "linalg.elementwise": "category"}
            lines = [line for line in row["mlir"].splitlines() if "linalg." in line and "linalg.fill" not in line]
            # A program may be a fill, and nothing else.
            main = lines[0].split("= ")[1].split()[0] if lines else "linalg.fill"
            assert row["form"] == kinds.get(main, "named"), row["mlir"]


@pytest.mark.parametrize("version", [16, 19, 22])
def test_what_is_said_to_parse_does_and_what_is_not_does_not(datasets, version):
    for dataset in datasets.values():
        rows = [row for split in rows_of(dataset).values() for row in split]
        known = [row["mlir"] for row in rows if row["minimum_mlir"] <= version <= (row["maximum_mlir"] or version)]
        done = run_mlir_opt(version, known)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("func.func") == len(known)
        for text in [row["mlir"] for row in rows if row["minimum_mlir"] > version][:5]:
            assert run_mlir_opt(version, [text]).returncode != 0


def test_all_generic_programs_parse_on_mlir_19_and_22_and_match(tmp_path):
    dataset = made(tmp_path, {"generic": 1}, check__level="execute")
    rows = [row for split in rows_of(dataset).values() for row in split]
    assert {row["proven"] for row in rows} == {"matched"}
    assert {row["family"] for row in rows} == set(OPS)
    for version in (19, 22):
        assert run_mlir_opt(version, [row["mlir"] for row in rows]).returncode == 0
    assert not any(name in row["mlir"] for row in rows for name in ("linalg.matmul", "linalg.add", "linalg.pooling"))


def test_a_mix_has_its_shares_and_is_a_function_of_seed_and_program_alone(datasets, tmp_path):
    def forms(dataset):
        return {(row["family"], row["spec"]): row["sha256"] for split in rows_of(dataset).values() for row in split}

    def of(folder, ops, number, **changes):
        run = config(ops, output_dir=str(tmp_path / folder), form=MIXED, num_samples=number, **changes)
        return forms(generate(run).path)

    # 125 matmuls in all, so that each seed draws most of them.
    small, large, other = of("a", ["matmul"], 96), of("b", ["matmul", "relu"], 200), of("c", ["matmul"], 96, seed=1)
    for one, shares_all in ((large, True), (other, False)):
        common = one.keys() & small.keys()
        same = sum(one[key] == small[key] for key in common)
        assert len(common) > 60
        assert same == len(common) if shares_all else 0 < same < len(common)
    grid = {f"ops__matmul__grid__{axis}": {"from": 1, "to": 20, "step": 1} for axis in "mnk"}
    shares = {"named": 1, "generic": 3}
    matmuls = generate(config(["matmul"], output_dir=str(tmp_path / "d"), form=shares, num_samples=400, **grid)).path
    counted = Counter(row["form"] for split in rows_of(matmuls).values() for row in split)
    assert 260 < counted["generic"] < 340


def test_the_dataset_verifies_and_a_form_that_was_changed_is_found(datasets, tmp_path):
    verify_dataset(datasets["mixed"])
    copy = tmp_path / datasets["mixed"].name
    shutil.copytree(datasets["mixed"], copy)
    table = pq.read_table(copy / "train.parquet")
    forms = table.column("form").to_pylist()
    changed = pa.array(["generic" if form == "named" else form for form in forms])
    pq.write_table(table.set_column(table.schema.get_field_index("form"), "form", changed), copy / "train.parquet")
    with pytest.raises(UserError):
        verify_dataset(copy)


def test_the_default_is_saved_and_named_as_before():
    plain, named, generic = config(), config(form={"named": 3}), config(form={"generic": 1})
    assert "form" not in plain.to_saved()
    assert plain.fingerprint == named.fingerprint != generic.fingerprint
    assert generic.to_saved()["form"] == {"named": 0, "generic": 1, "category": 0}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"generic": -1}, "form.generic is -1, and must be a whole number of at least 0"),
        ({"named": 0}, "form gives no form a share. Type for instance form=named"),
        ({"generics": 1}, 'no key "generics" in form. Did you mean "generic"'),
        ({"named": 0.5}, "form.named is 0.5, and must be a whole number"),
    ],
)
def test_shares_that_are_none_are_refused(form, message):
    with pytest.raises(UserError) as refused:
        config(form=form)
    assert message in str(refused.value)


def test_the_command_of_a_rejection_makes_the_program_in_its_form(monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, lambda spec, form: REAL(spec, form)[: 40 if spec.fields["k"] == 1 else None])
    outcome = generate(config(["matmul"], output_dir=str(tmp_path), form={"generic": 1}))
    reject = json.loads((outcome.path / "rejects.jsonl").read_text().splitlines()[0])
    python, script, *arguments = shlex.split(reject["command"])
    assert (python, script, arguments[2:]) == ("python", "scripts/program.py", ["--form", "generic"])
    done = run_warm("program", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "linalg.generic" in done.stdout
