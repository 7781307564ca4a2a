"""Writing a dataset as MLIR-RL loads it: the programs with their times, the config of a run, and what was left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.exported import ExportWriter
from mlir_datagen.dataset.reader import Dataset, StoredProgram
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.export.base import Exporter, ExportInput
from mlir_datagen.export.mlir_rl.contract import program_problems, time_problem
from mlir_datagen.export.mlir_rl.names import Names
from mlir_datagen.export.mlir_rl.training import (
    BASELINES,
    CODE_FILES,
    CONFIG,
    EVAL_TIMES,
    LEFT_OUT,
    LLM_ACTION,
    PROGRAMS,
    README,
    TRAIN_TIMES,
    readme,
    training_config,
)
from mlir_datagen.mlir.timed_main import TimedProgram, Timer

_TRAIN = "train"
_EVAL = "eval"


@dataclass(frozen=True)
class LeftOut:
    """A program of the dataset that is not exported."""

    split: str
    name: str
    family: str
    sha256: str
    reasons: list[str]


@dataclass
class _Progress:
    """What has been exported so far.

    Attributes:
        times: in nanoseconds, by split of MLIR-RL and name.
        programs: the programs of the dataset that each name is.
        texts: the name, by the exported text.
        left_out: the others.
    """

    times: dict[str, dict[str, int]] = field(default_factory=lambda: {_TRAIN: {}, _EVAL: {}})
    programs: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


class MlirRl(Exporter):
    """The unified format of MLIR-RL, and its *llm_action* variant beside it."""

    name = "mlir_rl"
    version = 2

    def check_folder(self, folder: Path) -> None:
        if shlex.quote(str(folder)) != str(folder):
            raise UserError(
                f"The path {folder} has characters that mean something to a shell, and MLIR-RL passes the paths of "
                "programs to one unquoted. Choose an output_dir whose path has letters, digits and the like alone; "
                f"move a finished dataset to such a path, and export it there: python scripts/export.py {self.name} "
                "<its folder>"
            )

    def write(self, given: ExportInput, files: ExportWriter) -> None:
        done = _Progress()
        timer, names = Timer(), Names()
        for program, label in _programs(given):
            measurement = given.times.get((program.split, program.name))
            # Their loaders want whole numbers.
            nanoseconds = None if measurement is None else round(measurement.median_ns)
            timed, reasons = _examine(timer, program, nanoseconds)
            split = _TRAIN if program.split in given.train else _EVAL
            if timed is not None and timed.text in done.texts:
                name = done.texts[timed.text]
                if name in done.times[split]:
                    done.programs[name].append(_origin(program))
                    continue
                reasons.append(f"in this form it is the same program as {name}, which is to evaluate on")
            if timed is None or nanoseconds is None or reasons:
                done.left_out.append(LeftOut(program.split, program.name, program.family, program.sha256, reasons))
                continue
            name = names.give(label, program.sha256, timed.facts.linalg[0] if timed.is_single else None)
            done.texts[timed.text] = name
            done.times[split][name] = nanoseconds
            done.programs[name] = [_origin(program)]
            files.add(f"{CODE_FILES}/{name}.mlir", timed.text)
            files.add(f"{LLM_ACTION}/{split}/{name}.mlir", timed.text)
        _refuse_nothing(given.dataset, done)
        _describe(given, done, files)


def _origin(program: StoredProgram) -> dict[str, str]:
    return {"split": program.split, "name": program.name, "sha256": program.sha256}


def _programs(given: ExportInput) -> Iterator[tuple[StoredProgram, str]]:
    """Yield each program, and the words that its name begins with when it has no better one.

    Those to evaluate on come first: they stay whole, and what is the same in this form is not trained on.
    """
    for to_train in (False, True):
        for split, table in given.dataset.tables():
            if (split in given.train) != to_train:
                continue
            for row in table.to_pylist():
                program = given.dataset.program(split, row)
                yield program, "_".join(dict.fromkeys(filter(None, (program.family, row.get("kind")))))


def _examine(timer: Timer, program: StoredProgram, nanoseconds: int | None) -> tuple[TimedProgram | None, list[str]]:
    """Return a program in its timed form, if it has one, and why it cannot be exported."""
    reasons = []
    if nanoseconds is None:
        reasons.append("it has no measured time: measuring it failed")
    elif problem := time_problem(nanoseconds):
        reasons.append(problem)
    try:
        timed = timer.timed(program.text)
    except Rejection as rejection:
        return None, [*reasons, rejection.reason]
    return timed, [*reasons, *program_problems(timed.facts)]


def _refuse_nothing(dataset: Dataset, done: _Progress) -> None:
    if done.programs:
        return
    first = f" The first, {done.left_out[0].name}: {done.left_out[0].reasons[0]}." if done.left_out else ""
    raise UserError(
        f"None of the {len(done.left_out)} programs of {dataset.folder} is one that MLIR-RL reads.{first} Generate a "
        "dataset with others."
    )


def _describe(given: ExportInput, done: _Progress, files: ExportWriter) -> None:
    files.add_json(TRAIN_TIMES, done.times[_TRAIN])
    files.add_json(EVAL_TIMES, done.times[_EVAL])
    baselines: dict[str, Any] = {
        split: {name: {"mlir": nanoseconds / 1e6} for name, nanoseconds in times.items()}
        for split, times in done.times.items()
    }
    files.add_json(f"{LLM_ACTION}/{BASELINES}", baselines)
    files.add_json(PROGRAMS, done.programs)
    files.add_json(LEFT_OUT, [asdict(one) for one in done.left_out])
    files.add_json(CONFIG, training_config(given.folder))
    files.add(README, readme(given.folder, done.times, len(done.left_out), sorted(given.train)))
