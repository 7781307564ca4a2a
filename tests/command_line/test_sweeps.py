"""Sweeps whose jobs are started by Hydra's launchers: the datasets are those of single runs, and errors are told."""

from __future__ import annotations

import json

import pytest
from helpers import run_script
from hydra.core.config_store import ConfigStore

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate

SETTINGS = ["dims=small", "num_samples=20"]


def digests(folder):
    """Return the digest of each dataset in a folder, by its name."""
    return {path.parent.name: json.loads(path.read_text())["digest"] for path in folder.glob("*/manifest.json")}


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_by_one")
    for seed in (1, 2):
        generate(compose_config([*SETTINGS, f"seed={seed}", f"output_dir={folder}"]))
    return digests(folder)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_sweep_makes_what_single_runs_make(launcher, one_by_one, tmp_path):
    done = run_script("generate", "-m", f"hydra/launcher={launcher}", "seed=1,2", *SETTINGS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(one_by_one) == 2
    assert digests(tmp_path / "outputs") == one_by_one
    if launcher == "joblib":
        assert done.stdout.count("\ndataset: ") == 2
    else:
        assert "What the jobs printed is in .submitit" in done.stdout
        printed = "".join(path.read_text() for path in tmp_path.glob("multirun/*/*/.submitit/*/*_log.out"))
        assert printed.count("\ndataset: ") == 2


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_job_that_fails_is_an_error_of_the_sweep(launcher, tmp_path):
    done = run_script("generate", "-m", f"hydra/launcher={launcher}", "seed=1,-2", *SETTINGS, cwd=tmp_path)
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "Error: seed is -2, and must be a whole number of at least 0." in said
    assert "Traceback" not in said
    # The others are made.
    assert len(digests(tmp_path / "outputs")) == 1


def test_a_job_that_is_killed_is_an_error_of_the_sweep(tmp_path):
    (tmp_path / "killing.py").write_text(
        "import os\nfrom concurrent.futures import ThreadPoolExecutor\n\n"
        "class Killing(ThreadPoolExecutor):\n"
        "    def submit(self, *given):\n        os.kill(os.getpid(), 9)\n"
    )
    killing = ["executor.kind=class", "executor.class_path=killing.Killing", "trust=[killing]", "executor.arguments={}"]
    sweep = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2", *SETTINGS, *killing]
    done = run_script("generate", *sweep, cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "Error: A job of the sweep has ended without an outcome: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("launcher", ["joblib", "submitit_slurm"])
def test_a_plugin_that_is_not_installed(launcher, monkeypatch):
    compose_config([])
    known = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(known, f"{launcher}.yaml", raising=False)
    with pytest.raises(UserError) as error:
        compose_config([f"hydra/launcher={launcher}"])
    assert f"hydra/launcher={launcher} needs a plugin of Hydra, which is not installed: pip install" in str(error.value)
    assert "'mlir_datagen[sweep]'" in str(error.value)


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ("jobslib", 'There is no "jobslib" in the group hydra/launcher. Did you mean "joblib"? It has basic, joblib,'),
        ("submitit_slurm", "there is no command srun here. Run it where jobs are submitted"),
    ],
)
def test_launchers_that_cannot_be_used(launcher, message, tmp_path):
    done = run_script(
        "generate", "-m", f"hydra/launcher={launcher}", "seed=1,2", cwd=tmp_path, environment={"PATH": ""}
    )
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
