"""Settings that Hydra would take in another way than a person means them, and where a command runs and prints."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers import SCRIPTS, run_script

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import LONGEST_MESSAGE, UserError, said, shown


def test_no_experiment_is_one_that_was_not_named(tiny):
    assert compose_config(["experiment=null"]) == compose_config([])
    assert compose_config(["experiment=tiny", "experiment=null"]) == compose_config([])
    assert compose_config(["experiment=null", "experiment=tiny"]).dataset_name == tiny.name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("données/x", "données/x"),
        ("数据", "数据"),
        ("a'b", "a'b"),
        ("'a b'", "a b"),
        ("it's (here), [now]", "it's (here), [now]"),
        ("back\\", "back\\"),
        ("é\\'x", "é\\'x"),
        ("#1&2;3", "#1&2;3"),
    ],
)
def test_a_folder_of_any_name(typed, name):
    assert str(compose_config([f"output_dir={typed}"]).output_dir) == name


def test_a_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose_config(["output_dir=~/x"]).output_dir == tmp_path / "x"
    assert compose_config(["output_dir='~/x'"]).output_dir == tmp_path / "x"
    assert compose_config(["output_dir=a/~/x"]).output_dir.parts == ("a", "~", "x")


@pytest.mark.parametrize(("folder", "locale"), [("~/données/x", "C"), ("[a] 数据", "C.UTF-8")])
def test_a_dry_run_and_a_real_one_name_the_same_folder(folder, locale, tmp_path):
    environment = {"HOME": str(tmp_path), "LC_ALL": locale}
    settings = ["experiment=tiny", "num_samples=4", f"output_dir={folder}"]
    told = run_script("generate", *settings, "dry_run=true", cwd=tmp_path, environment=environment)
    assert told.returncode == 0, told.stderr
    made = run_script("generate", *settings, cwd=tmp_path, environment=environment)
    assert made.returncode == 0, made.stderr
    path = made.stdout.splitlines()[-1].removeprefix("dataset: ")
    assert told.stdout.splitlines()[-1] == f"dataset would be: {path}"
    assert (tmp_path / path / "manifest.json").is_file()
    for script in ("verify", "reproduce"):
        done = run_script(script, path, cwd=tmp_path, environment=environment)
        assert done.returncode == 0, done.stderr


def test_a_path_that_is_no_text_in_the_locale(tmp_path):
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    folder = tmp_path / "données"
    folder.mkdir()
    done = run_script("generate", "experiment=tiny", "num_samples=4", cwd=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    path = done.stdout.splitlines()[-1].removeprefix("dataset: ")
    done = run_script("verify", str(folder / path), cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"verified: {folder / path}\n")
    done = run_script("generate", "output_dir=données", cwd=tmp_path, environment=environment)
    assert done.returncode == 2
    assert "no text in this locale" in " ".join(done.stderr.split())


@pytest.mark.parametrize("settings", [["dry_run=true"], []])
def test_standard_output_on_a_full_device(settings, tmp_path):
    command = [sys.executable, str(SCRIPTS / "generate.py"), "experiment=tiny", "report=false", *settings]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    message = " ".join(done.stderr.split())
    assert done.returncode == 2, message
    assert message.startswith("Error: Standard output cannot be written: No space left on device.")
    assert len(list(tmp_path.glob("outputs/tiny-*/manifest.json"))) == (0 if settings else 1)


@pytest.mark.parametrize("script", ["generate", "verify"])
def test_help_on_a_full_device(script, tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, str(SCRIPTS / f"{script}.py"), "--help"]
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2, done.stderr
    assert " ".join(done.stderr.split()).startswith("Error: Standard output cannot be written: No space left on")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["generate", "verify"])
def test_a_working_folder_that_is_gone(script, tmp_path):
    (tmp_path / "gone").mkdir()
    command = f'rmdir "$PWD"; exec {sys.executable} {SCRIPTS / script}.py experiment=tiny'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path / "gone", capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: The working folder is gone")
    assert "Traceback" not in done.stderr


def test_values_in_messages_are_short():
    bomb = ["x"]
    for _ in range(60):
        bomb = [bomb] * 9
    for value in (bomb, 10**5000, -(10**5000), "x" * 10**6, {str(key): "x" * 999 for key in range(999)}, "a\nb\udcff"):
        assert len(shown(value)) <= 200
        assert shown(value).isprintable()
    assert shown(10**5000) == "a whole number of about 5001 digits"
    for value in ([1, "a"], None, {"a": 1.5}, 10**30):
        assert shown(value) == repr(value)
    assert said("a \n b") == "a b"
    assert len(said("x" * 10**6)) < 500
    assert len(str(UserError("x" * 10**6))) < LONGEST_MESSAGE + 10


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("hydra=null", "'hydra=null' chooses nothing: hydra is a group of Hydra's own, and takes a name"),
        ("hydra/launcher=null", "hydra/launcher is a group of Hydra's own, and takes a name, such as hydra/launcher="),
        ("hydra/job_logging=3", "hydra/job_logging is a group of Hydra's own"),
        ("hydra.verbose=7", "'hydra.verbose=7' is no level of messages: type hydra.verbose=true"),
    ],
)
def test_settings_of_hydra_itself_that_it_stops_at(setting, expected, tmp_path):
    done = run_script("generate", setting, "dry_run=true", cwd=tmp_path)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
