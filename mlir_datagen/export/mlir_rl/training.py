"""What comes with the programs: the config of a training run, and the README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mlir_datagen.errors import listed
from mlir_datagen.export.base import Account
from mlir_datagen.export.mlir_rl.contract import MAX_LOOPS, MAX_RANK

CODE_FILES = "code_files"
TRAIN_TIMES = "execution_times_train.json"
EVAL_TIMES = "execution_times_eval.json"
CONFIG = "config.json"
README = "README.md"
LLM_ACTION = "llm_action"
BASELINES = "baselines.json"
LEFT_OUT = "left_out.json"
PROGRAMS = "programs.json"

_DECADES = ("under 10 µs", "10 to 100 µs", "0.1 to 1 ms", "1 to 10 ms", "10 to 100 ms", "0.1 to 1 s", "over 1 s")

_SETTINGS: dict[str, Any] = {
    # Every key that the config class of the released artifact (MLIR-RL-artifact) and of the active fork requires; both
    # refuse a file that lacks one, and pass over others. These values are those of the artifact's example.
    "num_tile_sizes": 7,
    "vect_size_limit": 512,
    "order": [["I"], ["!", "I", "NT"], ["!", "I"], ["V", "NT"]],
    "interchange_mode": "pointers",
    "exploration": ["entropy"],
    "init_epsilon": 0.0,
    "normalize_bounds": "max",
    "normalize_adv": "standard",
    "reuse_experience": "none",
    "bench_count": 64,
    "replay_count": 0,
    "nb_iterations": 20000,
    "ppo_epochs": 4,
    "ppo_batch_size": 64,
    "value_epochs": 0,
    "value_batch_size": 0,
    "value_coef": 0.5,
    "value_clip": False,
    "entropy_coef": 0.01,
    "lr": 0.001,
    "truncate": 5,
    "debug": False,
    "main_exec_data_file": "",
    "results_dir": "results",
}


def training_config(folder: Path) -> dict[str, Any]:
    """Return the config of a training run on an export.

    Args:
        folder: where the export will be, as an absolute path: their programs run in their own repository. The run's
            tag is the name of the dataset that it is in.
    """
    return {
        # The size of their observation: what the contract allows, so that no program is cut short.
        "max_num_stores_loads": 7,
        "max_num_loops": MAX_LOOPS,
        "max_num_load_store_dim": MAX_RANK,
        **_SETTINGS,
        "benchmarks_folder_path": str(folder / CODE_FILES),
        "json_file": str(folder / TRAIN_TIMES),
        "eval_json_file": str(folder / EVAL_TIMES),
        "tags": [folder.parent.name],
    }


def readme(
    folder: Path, times: Mapping[str, Mapping[str, int]], account: Account, train: Sequence[str], with_torch: int
) -> str:
    """Return the README of an export.

    Args:
        folder: where the export will be, as an absolute path.
        times: the times in nanoseconds by split (`train`, `eval`) and name.
        account: what became of the programs of the dataset.
        train: the dataset's splits to train on.
        with_torch: how many programs have a time of PyTorch, too.
    """
    trained = listed(f"the split `{split}`" for split in train) if train else "nothing"
    dataset_name = folder.parent.name
    rows = [[split, len(of), *_by_decade(of.values())] for split, of in times.items()]
    counts = tabulate(rows, headers=["split", "programs", *_DECADES], tablefmt="github")
    return f"""# {dataset_name} for MLIR-RL

The programs of the dataset {dataset_name} in the form that MLIR-RL loads, with their measured times.

{counts}

Times under 10 µs are mostly the clock's own, and times over 1 s make training slow; nothing breaks on either.
{account}
`{LEFT_OUT}` lists each program that was left out, with the reasons.

## Train

{_how_to_train(folder) if times["train"] else _how_to_have_some(folder)}

The paths in `{CONFIG}` are absolute. When the dataset has moved, export it again:
`python scripts/export.py mlir_rl {folder.parent}`.

## Files

- `{CODE_FILES}/<name>.mlir`: the programs
- `{TRAIN_TIMES}`, `{EVAL_TIMES}`: name and time in whole nanoseconds: the medians of the dataset's
  measurements. The first has what is to be trained on ({trained}), the second all the rest
- `{LLM_ACTION}/{{train,eval}}/<name>.mlir`, `{LLM_ACTION}/{BASELINES}`: the same programs, and the times in
  milliseconds (`mlir`). {with_torch} programs have PyTorch's time as well (`torch`): what they compute, called eagerly
  in their own precision on one thread, measured as they are. What was taken out of networks has no counterpart
- `{CONFIG}`: the config of a training run. `benchmarks_folder_path`, `json_file` and `eval_json_file` are the paths;
  `max_num_loops`, `max_num_load_store_dim` and `max_num_stores_loads` are the limits; all other keys have the values of
  MLIR-RL-artifact's `config/example.json`, but `tags`
- `{PROGRAMS}`: which programs of the dataset each name is: two suites may share one. What was rewritten of it, so
  that MLIR-RL reads it, is said there; its time is that of the rewritten program
- `{LEFT_OUT}`: the programs of the dataset that are not here, and why

## Programs

`@main` reads the clock (`@nanoTime`), runs the operations, reads it again, and returns the results and, last, the
elapsed nanoseconds. In a program of a single operation what its results are written into is an argument, as is the
window of a pooling, and the operation has `tag = "operation_0"`. The dataset's program fills it first, within its
measured time; here it is not filled. In all others everything is as in the dataset, and is timed.
"""


def _by_decade(times: Iterable[int]) -> list[int]:
    """Return how many times, in nanoseconds, are in each of `_DECADES`."""
    decades = Counter(min(max(len(str(time)) - 4, 0), len(_DECADES) - 1) for time in times)
    return [decades[place] for place in range(len(_DECADES))]


def _how_to_train(folder: Path) -> str:
    dataset_name = folder.parent.name
    return f"""In a checkout of MLIR-RL or MLIR-RL-artifact, with its `.env` filled in:

```bash
CONFIG_FILE_PATH={folder / CONFIG} python train.py
```

With its `llm_action`, which looks for sets of programs in a folder of its own:

```bash
cp -r {folder / LLM_ACTION} llm_action/data/benchmarks/{dataset_name}
python -m llm_action.src.rl.train_ppo --benchmarks-name {dataset_name}
```"""


def _how_to_have_some(folder: Path) -> str:
    return f"""**There is nothing to train on here**, only programs to evaluate on. To train on
splits of the dataset, such as `extracted`, export it again:

```bash
python scripts/export.py {folder.name} {folder.parent} --train extracted
```"""
