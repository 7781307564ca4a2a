"""Writing a dataset as MLIR-RL loads it: the programs with their times, the config of a run, and what was left out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.exported import ExportWriter
from mlir_datagen.errors import UserError, listed
from mlir_datagen.export.base import Account, Exporter, ExportInput
from mlir_datagen.export.mlir_rl.candidates import TWICE, Candidate, Reason, candidates
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
from mlir_datagen.pipeline.measuring import eager_job
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure, Measurement

_TRAIN = "train"
_EVAL = "eval"


@dataclass
class _Progress:
    """What has been exported so far.

    Attributes:
        times: in nanoseconds, by split of MLIR-RL and name.
        programs: the programs of the dataset that each name is.
        texts: the name, by the exported text.
        firsts: the first of those programs.
        left_out: the others.
    """

    times: dict[str, dict[str, int]] = field(default_factory=lambda: {_TRAIN: {}, _EVAL: {}})
    programs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    firsts: dict[str, StoredProgram] = field(default_factory=dict)
    left_out: list[Candidate] = field(default_factory=list)


class MlirRl(Exporter):
    """The unified format of MLIR-RL, and its *llm_action* variant beside it."""

    name = "mlir_rl"
    version = 4

    def check_folder(self, folder: Path) -> None:
        if shlex.quote(str(folder)) != str(folder):
            raise UserError(
                f"The path {folder} has characters that mean something to a shell, and MLIR-RL passes the paths of "
                "programs to one unquoted. Choose an output_dir whose path has letters, digits and the like alone; "
                f"move a finished dataset to such a path, and export it there: python scripts/export.py {self.name} "
                "<its folder>"
            )

    def write(self, given: ExportInput, files: ExportWriter) -> Account:
        done, names = _Progress(), Names()
        for candidate in candidates(given):
            program, timed = candidate.program, candidate.timed
            split = _TRAIN if program.split in given.train else _EVAL
            if timed is not None and timed.text in done.texts:
                name = done.texts[timed.text]
                if name in done.times[split]:
                    done.programs[name].append(_origin(candidate))
                    continue
                what = f"in this form it is the same program as {name}, which is to evaluate on"
                candidate.reasons.append(Reason(TWICE, what))
            if timed is None or candidate.nanoseconds is None or candidate.reasons:
                done.left_out.append(candidate)
                continue
            name = names.give(candidate.label, program.sha256, timed.facts.linalg[0] if timed.is_single else None)
            done.texts[timed.text] = name
            done.times[split][name] = candidate.nanoseconds
            done.programs[name] = [_origin(candidate)]
            done.firsts[name] = program
            files.add(f"{CODE_FILES}/{name}.mlir", timed.text)
            files.add(f"{LLM_ACTION}/{split}/{name}.mlir", timed.text)
        _refuse_nothing(given, done)
        torch, notes = _torch_times(given, done)
        account = Account(sum(map(len, done.programs.values())), _counts(done), notes)
        _describe(given, done, torch, account, files)
        return account


def _origin(candidate: Candidate) -> dict[str, Any]:
    program, timed = candidate.program, candidate.timed
    origin: dict[str, Any] = {"split": program.split, "name": program.name, "sha256": program.sha256}
    return {**origin, "rewritten": timed.rewritten} if timed is not None and timed.rewritten else origin


def _refuse_nothing(given: ExportInput, done: _Progress) -> None:
    if done.programs:
        return
    folder, left_out = given.dataset.folder, done.left_out
    first = f" The first, {left_out[0].program.name}: {left_out[0].reasons[0].text}." if left_out else ""
    times = [candidate.nanoseconds for candidate in left_out if candidate.nanoseconds is not None]
    range_ = f" Their times are {min(times)} to {max(times)} ns." if times else ""
    raise UserError(
        f"None of the {len(left_out)} programs of {folder} can be exported: {_listed_counts(done)}.{first}{range_} "
        "Generate a dataset with others, or change the bounds on their times: --min-ns and --max-ns of "
        "scripts/export.py, export.min_ns and export.max_ns of scripts/generate.py."
    )


def _counts(done: _Progress) -> dict[str, int]:
    """Return how many programs are left out for which reason; one that has several counts for the first."""
    return dict(Counter(candidate.reasons[0].what for candidate in done.left_out))


def _listed_counts(done: _Progress) -> str:
    return listed(f"{count} {what}" for what, count in _counts(done).items())


def _torch_times(given: ExportInput, done: _Progress) -> tuple[dict[str, float], list[str]]:
    """Return PyTorch's times of programs, in milliseconds by name, and what is to be said of those that failed."""
    if given.measure is None or not given.torch:
        return {}, []
    jobs = {name: job for name, program in done.firsts.items() if (job := eager_job(program)) is not None}
    outcomes = dict(zip(jobs, given.measure(list(jobs.values())) if jobs else [], strict=True))
    failed = [f"{name} ({outcome.reason})" for name, outcome in outcomes.items() if isinstance(outcome, Failure)]
    times = {name: outcome.median_ns / 1e6 for name, outcome in outcomes.items() if isinstance(outcome, Measurement)}
    if not failed:
        return times, []
    return times, [f"PyTorch's time of {len(failed)} could not be measured; the first: {failed[0]}."]


def _describe(
    given: ExportInput, done: _Progress, torch: Mapping[str, float], account: Account, files: ExportWriter
) -> None:
    files.add_json(TRAIN_TIMES, done.times[_TRAIN])
    files.add_json(EVAL_TIMES, done.times[_EVAL])
    baselines = {
        split: {
            name: {"mlir": nanoseconds / 1e6, **({"torch": torch[name]} if name in torch else {})}
            for name, nanoseconds in times.items()
        }
        for split, times in done.times.items()
    }
    files.add_json(f"{LLM_ACTION}/{BASELINES}", baselines)
    files.add_json(PROGRAMS, done.programs)
    files.add_json(LEFT_OUT, [_left_out(candidate) for candidate in done.left_out])
    files.add_json(CONFIG, training_config(given.folder))
    files.add(README, readme(given.folder, done.times, account, sorted(given.train), len(torch)))


def _left_out(candidate: Candidate) -> dict[str, Any]:
    program = candidate.program
    return {
        "split": program.split,
        "name": program.name,
        "family": program.family,
        "sha256": program.sha256,
        "reasons": [reason.text for reason in candidate.reasons],
    }
