"""Several processes that verify a dataset find what one does, in its order, in indexes of several files."""

from __future__ import annotations

import shutil
from concurrent.futures import Future

import pyarrow.parquet as pq
import pytest
from forging import forge, rows_changed
from helpers import run_script

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.executors.workers import Workers
from mlir_datagen.pipeline.run import generate
from mlir_datagen.proving.pool import JobEnded
from mlir_datagen.verification import verify_dataset
from mlir_datagen.verification.rows import RowChecks

SETTINGS = [
    "ops=[matmul,relu,sequence]", "dims=small", "num_samples=90", "suites=[gemm]", "form=mixed", "programs_per_file=17",
    "storage=parquet",
]  # fmt: skip
FILES = [f"train-{number:05d}-of-00005.parquet" for number in range(5)]
NUMBERS = (0, 1, 2, 5)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return generate(compose_config([*SETTINGS, f"output_dir={tmp_path_factory.mktemp('original')}"])).path


@pytest.fixture
def dataset(original, tmp_path, monkeypatch):
    monkeypatch.setattr("mlir_datagen.verification.rows._ROWS_AT_A_TIME", 4)
    return shutil.copytree(original, tmp_path / "dataset")


@pytest.fixture
def found(monkeypatch):
    """Return all that is found of a dataset with some number of workers, and not its beginning alone."""
    last = []

    def refuse(folder, problems, cure=None):
        if problems:
            last[:] = problems
            raise UserError("refused")

    monkeypatch.setattr("mlir_datagen.verification.refuse", refuse)

    def of(folder, workers):
        last.clear()
        try:
            return verify_dataset(folder, workers=workers)
        except UserError as error:
            return list(last) if str(error) == "refused" else str(error)

    return of


def plant(folder):
    """Plant a fault of every kind, in all files but the last."""
    suite = pq.read_table(folder / "suites/gemm.parquet").to_pylist()[0]
    (first, *_) = pq.read_table(folder / FILES[0]).to_pylist()
    text = ("mlir", "sha256")

    def the_first(rows):
        rows[3].update(flops=1, seed=7)
        rows[5].update({key: suite[key] for key in text})
        rows[16].update(mlir="module {")

    def the_second(rows):
        rows[0].update(arguments=rows[1]["arguments"])
        rows[1], rows[2] = rows[2], rows[1]
        rows[9].update({key: first[key] for key in (*text, "spec", "family")})

    def the_third(rows):
        rows[0].update({key: first[key] for key in text})
        rows[8].update(spec="{}")
        rows[16].update(check="execute", split="test")

    def the_fourth(rows):
        for row in rows:
            row.update(dtype="x")

    for file, change in zip(FILES, (the_first, the_second, the_third, the_fourth), strict=False):
        forge(folder, file, rows_changed(change))


def test_any_number_of_workers_finds_the_same_faults(dataset, found):
    plant(dataset)
    problems = [found(dataset, number) for number in NUMBERS]
    assert problems[1:] == problems[:-1]
    assert len(problems[0]) > 30
    told = "\n".join(problems[0])
    for kind in (
        "has flops 1 where", "must not be there: ", "is not valid MLIR", "has other arguments than its function",
        "is not what the config draws in its place", "is the same program as train/", "computes the same as train/",
        "has no usable spec", "has proven", "has split 'test'", "is not the program of its spec", "sha256 says",
    ):  # fmt: skip
        assert kind in told, kind
    names = [f"train/{name}" for file in FILES for name in pq.read_table(dataset / file).column("name").to_pylist()]
    places = [names.index(problem.split()[0]) for problem in problems[0] if problem.startswith("train/")]
    assert places == sorted(places)


def test_so_many_faults_that_it_stops(dataset, found):
    for file in FILES:
        forge(dataset, file, rows_changed(lambda rows: [row.update(dtype="x", seed=3) for row in rows]))
    problems = [found(dataset, number) for number in NUMBERS]
    assert problems[1:] == problems[:-1]
    assert len(problems[0]) == 102


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(), "it has 74 rows, and the manifest counts 75 programs"),
        (lambda rows: rows[5].update(name="../../x"), "it has a program named '../../x'"),
        (lambda rows: rows[5].update(mlir="module {" * 999 + "}" * 999), "is not given to MLIR's parser"),
    ],
)
def test_rows_that_cannot_be_read(change, said, dataset, found):
    forge(dataset, FILES[4], rows_changed(change))
    told = [found(dataset, number) for number in NUMBERS]
    assert told[1:] == told[:-1]
    assert said in told[0]


def test_a_whole_dataset(original, found):
    told = [found(original, number) for number in NUMBERS]
    assert told[1:] == told[:-1]
    assert told[0][1] == "155 programs pass the parser and the verifier."


def test_a_program_that_ends_its_processes(original):
    class Ending:
        def submit(self, function, rows):
            future = Future()
            future.set_exception(JobEnded("it was ended by SIGSEGV"))
            return future

    dataset = Dataset(original)
    checks = RowChecks(dataset, load_saved_config(original / "config.yaml"), [], None)
    with pytest.raises(UserError, match="One of the programs 0 to 16 of train ends the processes that look at it"):
        list(checks.problems(Ending(), lambda count: None))


def test_few_programs_need_no_workers(original, monkeypatch):
    monkeypatch.setattr(Workers, "__init__", lambda *_: pytest.fail("there are worker processes"))
    verify_dataset(original)


def test_the_option(original, tmp_path):
    for number in ("0", "2"):
        done = run_script("verify", "--workers", number, str(original), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for word in ("-1", "x", "1025", "1.5"):
        done = run_script("verify", f"--workers={word}", str(original), cwd=tmp_path)
        assert done.returncode == 2
        assert "must be from 0, for none, to 1024" in " ".join(done.stderr.split())
