"""Suites, what is taken out of networks, and what is kept out of the random splits."""

from __future__ import annotations

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
from helpers import REPOSITORY, made_dataset, run_mlir_opt
from networks import SMALL, TRUSTED, planted
from networks import generate as generate_networks
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.run import CONSUMERS
from mlir_datagen.errors import UserError
from mlir_datagen.export import EXPORTERS
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.pipeline.run import generate
from mlir_datagen.sources.decontamination import Decontamination

LARGE = {"networks", "bert_ops", "gpt2_ops", "resnet_ops"}
"""The suites that convert networks for half a minute: benchmarks/suites.py makes these, too."""
SUITES = sorted({path.stem for path in (REPOSITORY / "conf/suites").glob("*.yaml")} - LARGE)


def rows_of(dataset, split):
    return pq.read_table(dataset / f"{split.replace('.', '/')}.parquet").to_pylist()


def manifest_of(dataset):
    return json.loads((dataset / "manifest.json").read_text())


@pytest.fixture(scope="module")
def every_suite(tmp_path_factory):
    """All suites but the large ones as one dataset: making it holds each to the digest in its file."""
    folder = tmp_path_factory.mktemp("suites")
    return made_dataset(run_warm("generate", "ops=[]", f"suites=[{','.join(SUITES)}]", cwd=folder), folder)


def test_every_suite_has_a_digest_and_is_what_it_says(every_suite):
    for suite in LARGE:
        assert re.search(
            r"^digest: [0-9a-f]{64}$", (REPOSITORY / f"conf/suites/{suite}.yaml").read_text(), re.MULTILINE
        )
    against = manifest_of(every_suite)["decontamination"]["against"]
    for suite in SUITES:
        text = (REPOSITORY / f"conf/suites/{suite}.yaml").read_text()
        assert f"digest: {against[f'suites.{suite}']['digest']}\n" in text
        rows = rows_of(every_suite, f"suites.{suite}")
        assert len(rows) > 0
        assert all((every_suite / row["file"]).read_text() == row["mlir"] for row in rows)
        assert {row["file"].rpartition("/")[0] for row in rows} == {f"suites/{suite}"}


def test_a_dataset_of_suites_is_verified_and_parses_on_mlir_19(every_suite):
    done = run_warm("verify", str(every_suite), cwd=every_suite)
    assert done.returncode == 0, done.stderr
    for suite in SUITES:
        parsed = run_mlir_opt(19, [row["mlir"] for row in rows_of(every_suite, f"suites.{suite}")])
        assert parsed.returncode == 0, parsed.stderr


def test_no_random_program_computes_what_a_suite_has(tmp_path):
    settings = ["ops=[matmul]", "num_samples=100", f"output_dir={tmp_path}"]
    with_suite = generate(compose_config([*settings, "suites=[mlir_rl_eval]"]))
    without = generate(compose_config(settings))
    hasher = ProgramHasher()
    rows = rows_of(with_suite.path, "suites.mlir_rl_eval")
    assert {row["provenance"] for row in rows} == {'{"suite":"mlir_rl_eval"}'}
    judged = {hasher.hash(row["mlir"]) for row in rows}
    drawn = [hasher.hash(row["mlir"]) for split in ("train", "test") for row in rows_of(with_suite.path, split)]
    before = [hasher.hash(row["mlir"]) for split in ("train", "test") for row in rows_of(without.path, split)]
    assert judged & set(before), "the test needs a suite that random programs would meet"
    assert not judged & set(drawn)
    manifest = with_suite.manifest
    assert manifest["decontamination"]["left_out"] == manifest["funnel"]["rejected"]["unseen"] > 0
    assert len(drawn) == len(before) == 100


def test_verify_finds_a_random_program_that_a_suite_has(tmp_path, monkeypatch):
    settings = ["ops=[matmul]", "num_samples=100", "suites=[mlir_rl_eval]", f"output_dir={tmp_path}"]
    monkeypatch.setattr(Decontamination, "refused", lambda *_: None)
    leaking = generate(compose_config(settings)).path
    done = run_warm("verify", str(leaking), cwd=tmp_path)
    assert done.returncode == 2
    assert "must not be there: suites.mlir_rl_eval has a program that" in " ".join(done.stderr.split())


def test_programs_of_other_datasets_are_kept_out(tmp_path):
    other = generate(compose_config(["ops=[matmul]", "num_samples=40", "seed=1", f"output_dir={tmp_path}"])).path
    run = generate(compose_config(["ops=[matmul]", "num_samples=40", f"exclude=[{other}]", f"output_dir={tmp_path}"]))
    texts = {row["mlir"] for split in ("train", "test") for row in rows_of(other, split)}
    assert not texts & {row["mlir"] for split in ("train", "test") for row in rows_of(run.path, split)}
    assert run.manifest["decontamination"]["against"][str(other)]["programs"] == 40
    # Its train split has programs that were written after its test split, in place of those left out.
    assert run.manifest["funnel"]["rejected"]["unseen"] > 0
    done = run_warm("verify", str(run.path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_excluded_dataset_is_known_by_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["ops=[matmul]", "dims=small", "num_samples=8"]
    other = generate(compose_config([*settings, "seed=1"])).path
    run = generate(compose_config([*settings, f"exclude=[{other}]"])).path
    spellings = (f"./{other}/", str(tmp_path / other))
    assert {generate(compose_config([*settings, f"exclude=[{spelled}]"])).path for spelled in spellings} == {run}
    done = run_warm("reproduce", str(tmp_path / run), cwd="/")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(other)
    another = generate(compose_config([*settings, "seed=2"])).path
    another.rename(other)
    done = run_warm("reproduce", str(run), cwd=tmp_path)
    assert done.returncode == 2
    assert "it was made anew" in " ".join(done.stderr.split())
    assert generate(compose_config([*settings, f"exclude=[{other}]"])).path != run


@pytest.fixture(scope="module", params=["ops", "blocks"])
def extracted(request, tmp_path_factory):
    """What is taken out of small networks; of others, the tests in `mlir/` hold the costs."""
    folder = tmp_path_factory.mktemp(request.param)
    # Of the second, no five operations are connected.
    networks = [SMALL, *([planted("returns")] if request.param == "ops" else [])]
    settings = [TRUSTED, "ops=[]", f"extract={request.param}", "check=execute", "measure=baseline"]
    return made_dataset(generate_networks(folder, *networks, *settings), folder)


def test_what_is_extracted_runs_and_costs_what_its_networks_cost(extracted):
    rows = rows_of(extracted, "extracted")
    networks = {row["name"]: row["flops"] for row in rows_of(extracted, "neural_nets")}
    assert {row["check"] for row in rows} == {"execute"}
    assert not (extracted / "rejects.jsonl").exists()
    found = dict.fromkeys(networks, 0)
    for row in rows:
        places = json.loads(row["provenance"])
        assert sum(place["multiplicity"] for place in places) == row["multiplicity"]
        for place in places:
            found[place["model"]] += place["multiplicity"] * row["flops"]
    if {row["kind"] for row in rows} == {"op"}:
        assert found == networks
    done = run_warm("verify", str(extracted), cwd=extracted)
    assert done.returncode == 0, done.stderr


def test_its_export_passes_the_checker(extracted, tmp_path):
    copy = shutil.copytree(extracted, tmp_path / extracted.name)
    done = run_warm("export", "mlir_rl", str(copy), "--min-ns", "none", "--no-torch", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((copy / "mlir_rl/left_out.json").read_text()) == []
    checked = run_warm("check_mlir_rl", str(copy / "mlir_rl"), cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    times = json.loads((copy / "mlir_rl/execution_times_eval.json").read_text())
    assert len(times) > len(rows_of(extracted, "extracted")) / 2


def test_a_dry_run_shows_what_is_not_drawn(tmp_path):
    settings = ["ops=[]", "models=[simple_net]", "extract=ops", "suites=[gemm,networks,vgg_ops]", "dry_run=true"]
    done = run_warm("generate", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = dict(re.findall(r"^(\S+)(?: +simple_net +1)? +(\d+|\?)$", done.stdout, re.MULTILINE))
    gemm = compose_config(["suites=[gemm]"]).suites["gemm"]
    assert table == {
        "neural_nets": "1",
        "extracted": "?",
        "suites.gemm": str(len(gemm.programs)),
        "suites.networks": "7",
        "suites.vgg_ops": "?",
    }


def test_the_formats_that_a_run_can_ask_for_are_those_there_are():
    assert set(CONSUMERS) == set(EXPORTERS)


def test_the_experiment_for_mlir_rl_exports_what_it_measured(tmp_path):
    done = run_warm("generate", "experiment=mlir_rl", "num_samples=12", "dims=small", cwd=tmp_path)
    dataset = made_dataset(done, tmp_path)
    assert f"exported: {dataset.relative_to(tmp_path)}/mlir_rl" in done.stdout.replace(f"{tmp_path}/", "")
    times = {
        name: nanoseconds
        for part in ("train", "eval")
        for name, nanoseconds in json.loads((dataset / f"mlir_rl/execution_times_{part}.json").read_text()).items()
    }
    assert len(times) == 12
    assert all(isinstance(value, int) and value > 0 for value in times.values())


def own(program):
    """Return the settings of a suite of one program."""
    return ["ops=[]", f"+suites.own={{version: 1, digest: null, programs: {{a: {program}}}}}"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["suites=[gem]"], r'There is no "gem" in the group suites. Did you mean "gemm"\?'),
        (["models=[resnet18]", "extract=ops", "extract.window=0"], r"extract.window is 0, .* at least 1"),
        (["models=[resnet18]", "extract=blocks", "extract.stride=0"], r"extract.stride is 0, .* at least 1"),
        (["extract=ops"], r"There is no network to extract operations from.*'models=\[resnet18\]'"),
        (["export=mlir_rl"], r"needs measured times, and measure is none. Type measure=baseline"),
        (["ops=[matmul]", "exclude=[gem]"], r'exclude names gem, .* Did you mean "gemm"\?'),
        (["suites=[gemm]", "suites.gemm.version=0"], r"suites.gemm.version is 0"),
        (
            own("{op: matmul, m: 0, n: 3, k: 1}"),
            r"suites.own.programs.a is not a program of matmul: its dimensions must",
        ),
        (own("{op: matmul, m: a, n: 3, k: 1}"), r"is not a program of matmul: m is 'a', and must be a whole number"),
        (own("{op: elementwise, kind: mod, shape: [3]}"), r"elementwise: its kind must be one of add, mul, max, sub"),
        (own("{op: elementwise, kind: add, shape: [3, 3, 3, 3, 3]}"), r"it must have 1, 2, 3, 4 dimensions"),
        (own("{op: matmul, m: 1, n: 3}"), r"the fields of matmul: it lacks 'k'; its fields are m, n, k, dtype\."),
        (own("{op: matmul, m: 1, n: 3, k: 1, z: 1}"), r"the fields of matmul: it has no field 'z'; its fields are"),
        (
            ["ops=[matmul]", "num_samples=9", "exclude=[nowhere]"],
            r"exclude names nowhere, which is neither a suite nor a dataset",
        ),
        (["ops=[]", "suites=[gemm]", f"suites.gemm.digest={'0' * 64}"], r"The suite gemm version 1 has the digest 000"),
        (
            ["ops=[]", "suites=[gemm]", "++suites.gemm.programs.matmul_64_64_64.k=32"],
            r"The suite gemm version 1 has the digest .* its list was changed.*a new version",
        ),
    ],
)
def test_bad_settings(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        generate(compose_config([*settings, f"output_dir={tmp_path}"]))
    assert list(tmp_path.iterdir()) == []
