"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from helpers import REPOSITORY, SCRIPTS, interruptible, made_dataset, run_script
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config, config_directory, is_run_alone

HEAVY = ("torch", "transformers", "pandas", "matplotlib")


def counts_of(made):
    return json.loads((made / "manifest.json").read_text())["counts"]


def start(*arguments, cwd):
    return subprocess.Popen(
        [sys.executable, str(SCRIPTS / "generate.py"), *arguments, "report=false"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


def staged_files(folder):
    return list(folder.glob("outputs/.*.partial/train/*.mlir"))


def wait_until(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail("it did not come to that")


BIG = ("dims=large", "num_samples=12000", "storage=both")


def test_the_defaults(tmp_path):
    done = run_script("generate", cwd=tmp_path)
    made = made_dataset(done, tmp_path)
    counts = counts_of(made)
    assert {split: sum(families.values()) for split, families in counts.items()} == {"train": 1000, "test": 200}
    assert counts["train"]["matmul"] + counts["test"]["matmul"] == 125
    assert "all that exist" in done.stdout
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]
    verified = run_script("verify", str(made), cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert "1200 programs pass the parser" in verified.stdout


def test_chosen_ops_and_size(tmp_path):
    made = made_dataset(run_warm("generate", "ops=[matmul,conv2d]", "num_samples=100", cwd=tmp_path), tmp_path)
    assert counts_of(made) == {"train": {"matmul": 42, "conv2d": 42}, "test": {"matmul": 8, "conv2d": 8}}


def test_three_splits(tmp_path):
    done = run_warm("generate", "dims=small", "splits={train: 80, val: 10, test: 10}", "seed=7", cwd=tmp_path)
    counts = counts_of(made_dataset(done, tmp_path))
    assert {split: sum(families.values()) for split, families in counts.items()} == {"train": 80, "test": 10, "val": 10}


def test_a_sweep_makes_a_dataset_for_each_seed(tmp_path):
    done = run_warm("generate", "-m", "experiment=tiny", "seed=1,2,3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [line for line in done.stdout.splitlines() if line.startswith("dataset: ")]
    assert len(set(paths)) == 3
    assert len(list((tmp_path / "outputs").iterdir())) == 3
    train, test = (
        {path.read_text() for path in tmp_path.glob(f"outputs/*/{split}/*.mlir")} for split in ("train", "test")
    )
    assert not train & test


def test_the_same_command_again_finds_the_dataset(tiny, tmp_path):
    first = run_script("generate", "experiment=tiny", cwd=tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = run_script("generate", "experiment=tiny", cwd=tmp_path)
    assert made_dataset(first, tmp_path) == made_dataset(second, tmp_path)
    assert "finished already" in second.stdout
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    other = made_dataset(run_script("generate", "experiment=tiny", "seed=43", cwd=tmp_path), tmp_path)
    assert other.name != tiny.name


@pytest.mark.parametrize("before", ["[8,16]", "{from: 8, to: 16, step: 8}", "{same_as: width}"])
@pytest.mark.parametrize("after", ["[8,16]", "{from: 8, to: 16, step: 8}", "{same_as: width}"])
def test_a_grid_can_be_given_in_any_form_over_any_other(before, after):
    key = "ops.conv2d.grid.height"
    run = compose_config(["experiment=tiny", f"{key}={before}", f"{key}={after}"])
    assert run.dataset_name == compose_config(["experiment=tiny", f"{key}={after}"]).dataset_name


def test_a_tiny_number_leaves_a_split_out(tmp_path):
    counts = counts_of(made_dataset(run_warm("generate", "num_samples=2", cwd=tmp_path), tmp_path))
    assert {split: sum(families.values()) for split, families in counts.items()} == {"train": 2}


def test_splits_replace_those_of_a_saved_config(tmp_path):
    first = made_dataset(
        run_warm(
            "generate", "dims=small", "splits={train: 9, test: 1}", "split_ratios={train: 5, test: 1}", cwd=tmp_path
        ),
        tmp_path,
    )
    again = ["--config-dir", str(first), "--config-name", "config"]
    done = run_warm("generate", *again, "splits=null", "num_samples=12", cwd=tmp_path)
    assert sum(counts_of(made_dataset(done, tmp_path))["train"].values()) == 10
    done = run_warm("generate", *again, "splits={train: 3}", "split_ratios=null", "num_samples=null", cwd=tmp_path)
    assert list(counts_of(made_dataset(done, tmp_path))) == ["train"]


@pytest.mark.parametrize(
    "same",
    [
        ["ops=[elementwise,conv2d,matmul,pooling]"],
        ["splits={test: 4, train: 20}", "num_samples=24"],
        ["splits={test: 4, train: 20}", "num_samples=null"],
        ["dims.matrix=[128,96,64,48,32,24,16,8,8]"],
        ["ops.matmul.weight=1.0"],
        ["output_dir=elsewhere"],
        ["dry_run=true"],
    ],
    ids=lambda same: " ".join(same),
)
def test_ways_to_ask_for_the_same_dataset(same, tiny):
    assert compose_config(["experiment=tiny", *same]).dataset_name == tiny.name


@pytest.mark.parametrize(
    "other", ["seed=1", "name=small", "storage=files", "ops.matmul.weight=2", "limits.max_flops=1000000"]
)
def test_settings_that_change_the_dataset(other, tiny):
    assert compose_config(["experiment=tiny", other]).fingerprint not in tiny.name


def test_the_saved_config_makes_the_same_dataset(tiny, tmp_path):
    done = run_script("generate", "--config-dir", str(tiny), "--config-name", "config", cwd=tmp_path)
    made = made_dataset(done, tmp_path)
    assert made.name == tiny.name
    for name in ("SHA256SUMS", "config.yaml", "README.md", "manifest.json"):
        assert (made / name).read_bytes() == (tiny / name).read_bytes()


def test_a_saved_config_with_another_size(tiny, tmp_path):
    done = run_warm("generate", "--config-dir", str(tiny), "--config-name", "config", "num_samples=48", cwd=tmp_path)
    larger = made_dataset(done, tmp_path)
    for path in (tiny / "train").iterdir():
        assert (larger / "train" / path.name).read_bytes() == path.read_bytes()


def test_reproduce(tiny, tmp_path):
    done = run_script("reproduce", str(tiny), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "30 files came back the same, byte for byte (24 programs)" in done.stdout
    assert not list(tmp_path.iterdir())


def test_dry_run_writes_nothing(tmp_path):
    done = run_warm("generate", "dry_run=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["train", "matmul", "250", "105", "105"] in lines
    assert ["test", "conv2d", "50", "3556", "60"] in lines
    assert "disk needed: about 5." in done.stdout
    assert done.stdout.splitlines()[-1].startswith("dataset would be: outputs/random-")


def test_the_disk_needed_is_about_what_is_used(tmp_path):
    told = run_warm("generate", "dry_run=true", cwd=tmp_path).stdout
    megabytes = float(told.split("disk needed: about ")[1].split()[0])
    made = made_dataset(run_warm("generate", cwd=tmp_path), tmp_path)
    used = sum(path.stat().st_blocks * 512 for path in made.rglob("*") if path.is_file()) / 1e6
    assert 0.8 * used < megabytes < 1.25 * used


def test_two_runs_at_once_make_one_dataset(tmp_path):
    runs = [start("dims=small", "num_samples=1500", cwd=tmp_path) for _ in range(2)]
    told = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert told[0][0].splitlines()[-1] == told[1][0].splitlines()[-1]
    assert len(list((tmp_path / "outputs").iterdir())) == 1


def test_two_seeds_in_the_same_second_make_two_datasets(tmp_path):
    runs = [start("experiment=tiny", f"seed={seed}", cwd=tmp_path) for seed in (1, 2)]
    told = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert len(list((tmp_path / "outputs").iterdir())) == 2


def test_a_killed_run_leaves_no_dataset_and_the_next_run_clears_up(tmp_path):
    run = start(*BIG, cwd=tmp_path)
    wait_until(lambda: staged_files(tmp_path), run)
    run.kill()
    run.communicate()
    left = {path.suffix: path for path in (tmp_path / "outputs").iterdir()}
    assert set(left) == {".partial", ".parts"}
    assert not (left[".partial"] / "manifest.json").exists()
    made = made_dataset(run_warm("generate", *BIG, cwd=tmp_path), tmp_path)
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [made.name]
    assert sum(counts_of(made)["train"].values()) == 10_000
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=made).returncode == 0


def test_an_interrupt_leaves_what_was_made(tmp_path):
    run = start(*BIG, cwd=tmp_path)
    wait_until(lambda: staged_files(tmp_path), run)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    (left,) = (tmp_path / "outputs").iterdir()
    assert left.suffix == ".parts"
    assert told.startswith("Stopped; ")
    assert told.endswith(f"are made and kept in outputs/{left.name}. The same command goes on from there.\n")


def test_a_full_disk(tmp_path):
    """A file system of two megabytes, in a namespace of its own."""
    place = tmp_path / "small"
    place.mkdir()
    script = f"mount -t tmpfs -o size=2m none {place} && exec {sys.executable} {SCRIPTS}/generate.py output_dir={place}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    assert done.returncode == 2, done.stderr
    assert "The dataset needs about 6 MB" in " ".join(done.stderr.split())
    generate = f"{sys.executable} {SCRIPTS}/generate.py report=false output_dir={place}"
    script = (
        f"mount -t tmpfs -o size=8m,nr_inodes=200 none {place} && ! {generate} && ls -A {place} && "
        f"mount -o remount,nr_inodes=5000 {place} && {generate} && ls -A {place} && "
        f"{sys.executable} {SCRIPTS}/verify.py {place}/random-*"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "There is no room left on the disk" in " ".join(done.stderr.split())
    lines = done.stdout.splitlines()
    assert len(lines) > 5
    assert lines[0].endswith(".parts")
    assert "Traceback" not in done.stderr


def test_a_progress_bar_on_a_terminal_only(tmp_path):
    main_end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    run = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "generate.py"), "dims=large", "num_samples=5000", "storage=parquet",
         "report=false"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(main_end, 4096):
            shown += piece
    except OSError:
        pass  # The terminal's other end was closed.
    run.communicate()
    assert run.returncode == 0
    assert b"/5000" in shown.replace(b" ", b"")


def test_the_cold_path_imports_nothing_heavy(tmp_path):
    code = (
        "import atexit, runpy, sys\n"
        f"sys.path.insert(0, {str(SCRIPTS)!r}); sys.argv = ['generate.py', 'num_samples=8', 'report=false']\n"
        f"atexit.register(lambda: print([name for name in {HEAVY!r} if name in sys.modules]))\n"
        "runpy.run_path(sys.path[0] + '/generate.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_settings_may_refer_to_hydras_own(tmp_path):
    done = run_warm("generate", "experiment=tiny", "output_dir=${hydra:runtime.cwd}/${hydra:job.name}", cwd=tmp_path)
    assert made_dataset(done, tmp_path).parent == tmp_path / "generate"
    saved = (made_dataset(done, tmp_path) / "config.yaml").read_text()
    assert "hydra" not in saved


@pytest.mark.parametrize(
    ("words", "config", "is_alone"),
    [
        (["seed=1", "+models.mine={}", "~suites"], "seed: 1", True),
        ([], "seed: 1", True),
        (["-m", "seed=1,2"], "seed: 1", False),
        (["--config-dir=somewhere"], "seed: 1", False),
        (["hydra.mode=MULTIRUN"], "seed: 1", False),
        (["experiment=mine"], "hydra: {mode: MULTIRUN}", False),
        (["experiment=mine"], "output_dir: '${hydra:run.dir}'", False),
    ],
)
def test_what_is_left_to_hydras_command_line(words, config, is_alone, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(config)
    monkeypatch.setattr("mlir_datagen.config.compose.config_directory", lambda: tmp_path)
    assert is_run_alone(words) == is_alone


def test_a_program_that_uses_hydra_keeps_its_own_options(tmp_path):
    code = (
        "from hydra.core.config_store import ConfigStore\n"
        "store = ConfigStore.instance()\n"
        "store.store('mine', {'a': 1}, group='models'); store.store('mine', {'b': 2}, group='ops')\n"
        "import mlir_datagen.config.compose\n"
        "store.store('later', {'c': 3}, group='ops')\n"
        "places = ['models/mine', 'ops/mine', 'ops/later', 'ops/softmax']\n"
        "print([store.load(f'{place}.yaml').node for place in places])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("[{'a': 1}, {'b': 2}, {'c': 3}, {'weight': 1, "), done.stderr


def test_cfg_shows_the_config_without_running(tmp_path):
    done = run_warm("generate", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "num_samples: null" in done.stdout
    assert not list(tmp_path.iterdir())


LISTS = ("ops", "models", "suites")
CHOICES = [(path.parent.name, path.stem) for path in sorted(config_directory().rglob("*/*.yaml"))]
OPTIONS = [
    *(f"{group}={name}" for group, name in CHOICES if group not in LISTS),
    # Of a list, all at once.
    *(f"{group}=[{','.join(name for one, name in CHOICES if one == group)}]" for group in LISTS),
]
COMPANIONS = {"extract": ["models=[resnet18]"], "export": ["measure=baseline"]}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_config_composes(option):
    group, _, _ = option.partition("=")
    config = compose_config([option, *COMPANIONS.get(group, [])])
    assert config.ops or config.models


def test_experiments_begin_with_their_command():
    for path in (config_directory() / "experiment").glob("*.yaml"):
        package, command = path.read_text().splitlines()[:2]
        assert package == "# @package _global_"  # Hydra reads it from the first line only.
        assert command == f"# python scripts/generate.py experiment={path.stem}"


def test_the_large_grid_has_a_million_programs_of_every_family(tmp_path):
    told = run_warm("generate", "dims=large", "dry_run=true", cwd=tmp_path).stdout
    existing: dict[str, int] = {}
    for line in told.splitlines():
        words = line.replace("at most ", "").split()
        if words and words[0] in ("train", "test"):
            existing[words[1]] = max(existing.get(words[1], 0), int(words[3]))
    assert min(existing.values()) > 1_000_000


def test_no_word_of_this_machine_in_a_dataset(tiny):
    for path in tiny.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for word in (str(REPOSITORY), str(Path.home()), str(tiny.parent)):
                assert word.encode() not in data, path
