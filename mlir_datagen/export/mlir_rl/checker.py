"""Checking a folder against all that MLIR-RL reads: ours, or anyone's.

Two layouts are known: the unified one, `code_files/` with `execution_times_train.json` and `execution_times_eval.json`;
and that of *llm_action*, `train/` and `eval/` with `baselines.json`, which may be a folder `llm_action` of the former.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.writer import file_sha256
from mlir_datagen.errors import UserError
from mlir_datagen.export.mlir_rl.contract import NAME, NOTHING_TO_TILE, USUAL_NS, time_problem
from mlir_datagen.export.mlir_rl.program_check import ProgramReport, check_programs
from mlir_datagen.export.mlir_rl.training import (
    BASELINES,
    CODE_FILES,
    CONFIG,
    EVAL_TIMES,
    LLM_ACTION,
    TRAIN_TIMES,
    training_config,
)
from mlir_datagen.pipeline.run import Listener

_CONFIG_PATHS = ("benchmarks_folder_path", "json_file", "eval_json_file")
_SPLITS = ("train", "eval")
_MLIR_MS, _TORCH_MS = "mlir", "torch"
_SAME_TIME = Fraction(1, 1000)
"""How far a time in milliseconds may be from the one in nanoseconds."""


@dataclass(frozen=True)
class Finding:
    """Something about a file, which is named relative to the folder."""

    file: str
    text: str


@dataclass
class Report:
    """What was found.

    Attributes:
        programs: how many files of programs were checked.
        problems: what breaks MLIR-RL, or makes it learn from something wrong.
        advice: what works, but is not as it is meant to be.
    """

    programs: int = 0
    problems: list[Finding] = field(default_factory=list)
    advice: list[Finding] = field(default_factory=list)


def check_folder(folder: Path, mlir_opt: str | None, listener: Listener | None = None) -> Report:
    """Check a folder that MLIR-RL is to load.

    Args:
        folder: of one of the two layouts, or of both.
        mlir_opt: the program that bufferizes and lowers the programs; None to do it in process.
        listener: told of the progress.

    Raises:
        UserError: when the folder is of neither layout.
    """
    try:
        check = _Check(folder)
        return check.run(mlir_opt, listener or Listener())
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}. Name a folder that can be.") from error


class _Check:
    """A folder that is being checked."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder. Name one that MLIR-RL is to load: one with {CODE_FILES}/.")
        self._folder = folder
        self._report = Report()
        self._times: dict[str, Any] = {}
        self._programs: dict[Path, bool] = {}
        """The files of programs to check, and whether the tag is asked for."""

    def run(self, mlir_opt: str | None, listener: Listener) -> Report:
        """Check everything."""
        is_unified = any((self._folder / name).exists() for name in (CODE_FILES, TRAIN_TIMES, EVAL_TIMES))
        variants = [place for place in (self._folder, self._folder / LLM_ACTION) if _is_variant(place)]
        if not is_unified and not variants:
            raise UserError(
                f"{self._folder} is not a folder that MLIR-RL loads: it has neither {CODE_FILES}/ and {TRAIN_TIMES}, "
                f"nor train/ and eval/. Name the folder that has them, such as outputs/<dataset>/mlir_rl."
            )
        if is_unified:
            self._check_times()
            self._check_config()
        for place in variants:
            self._check_variant(place)
        self._check_programs(mlir_opt, listener)
        return self._report

    def _problem(self, path: Path, text: str) -> None:
        self._report.problems.append(Finding(self._relative(path), _on_one_line(text)))

    def _advice(self, path: Path, text: str) -> None:
        self._report.advice.append(Finding(self._relative(path), _on_one_line(text)))

    def _relative(self, path: Path) -> str:
        return _shown(path.relative_to(self._folder).as_posix())

    def _check_times(self) -> None:
        """Check the two files of times, and that each program in them has its file."""
        code_files = self._folder / CODE_FILES
        by_file: dict[str, dict[str, Any]] = {}
        for file in (TRAIN_TIMES, EVAL_TIMES):
            path = self._folder / file
            by_file[file] = times = self._read_object(path)
            if not times:
                self._advice(path, "it names no program")
            for name, time in times.items():
                self._check_time(path, name, time)
                self._add_program(path, name, code_files)
        for name in by_file[TRAIN_TIMES].keys() & by_file[EVAL_TIMES].keys():
            self._problem(
                self._folder / EVAL_TIMES, f"{_shown(name)} is in {TRAIN_TIMES}, too: it is trained and evaluated on"
            )
        self._times = {**by_file[TRAIN_TIMES], **by_file[EVAL_TIMES]}
        if not self._times:
            self._problem(self._folder / TRAIN_TIMES, "there is no program in it, nor in the other file of times")
        for path in _programs_in(code_files):
            if path.stem not in self._times:
                self._advice(path, "neither file of times names it, so nothing reads it")

    def _check_time(self, path: Path, name: str, time: Any) -> None:
        if not isinstance(time, int) or isinstance(time, bool):
            self._problem(path, f"the time of {_shown(name)}, {json.dumps(time)}, is not a whole number of nanoseconds")
        elif problem := time_problem(time):
            self._problem(path, f"{_shown(name)}: {problem}")
        elif not USUAL_NS[0] <= time <= USUAL_NS[1]:
            self._advice(path, f"the time of {_shown(name)}, {time} ns, is outside the usual 10 µs to 1 s")

    def _add_program(self, path: Path, name: str, folder: Path, needs_tag: bool = False) -> None:
        """Note that a file of times names a program."""
        file = folder / f"{name}.mlir"
        if not NAME.fullmatch(name):
            self._problem(path, f"the name {json.dumps(name)} is not of letters of ASCII, digits and underscores")
        elif (problem := _file_problem(file)) is not None:
            self._problem(path, f"{name} has no file {self._relative(file)}{problem}")
        else:
            self._programs[file] = needs_tag

    def _check_config(self) -> None:
        """Check that the config of a training run, when it is there, names this folder: its paths are absolute."""
        path = self._folder / CONFIG
        if not path.is_file():
            return
        config, folder = self._read_object(path), self._folder.resolve()
        for key in _CONFIG_PATHS:
            written, expected = config.get(key), training_config(folder)[key]
            # A relative path is one in MLIR-RL's own repository.
            if not isinstance(written, str) or not written.startswith("/") or Path(written).resolve() == Path(expected):
                continue
            self._problem(
                path,
                f"its {key} is {json.dumps(written)}, which is not here: when the dataset has moved, export it again "
                f"(python scripts/export.py mlir_rl {shlex.quote(str(folder.parent))})",
            )

    def _check_variant(self, place: Path) -> None:
        """Check the layout of *llm_action*."""
        path = place / BASELINES
        baselines = self._read_object(path)
        for key in sorted(baselines.keys() - set(_SPLITS)):
            self._problem(path, f"it has the key {json.dumps(key)}; the keys are train and eval")
        names: dict[str, set[str]] = {}
        for split in _SPLITS:
            entries = baselines.get(split, {} if baselines else None)
            if entries is None or not isinstance(entries, dict):
                self._problem(path, f"{split} is not an object of names and times")
                entries = {}
            names[split] = set(entries)
            for name, entry in entries.items():
                self._check_baseline(path, name, entry)
                self._add_program(path, name, place / split, needs_tag=True)
            for file in _programs_in(place / split):
                # Unlike the other readers, this one takes every file of the folder.
                self._programs[file] = True
                if file.stem not in entries:
                    self._advice(file, f"{BASELINES} has no time for it, so it is measured when it is loaded")
        for name in sorted(names["train"] & names["eval"]):
            self._problem(path, f"{_shown(name)} is in train and in eval: it is trained and evaluated on")

    def _check_baseline(self, path: Path, name: str, entry: Any) -> None:
        if not isinstance(entry, dict) or not {_MLIR_MS} <= entry.keys() <= {_MLIR_MS, _TORCH_MS}:
            self._problem(
                path, f'the entry of {_shown(name)} is not of the form {{"mlir": milliseconds, "torch": milliseconds}}'
            )
            return
        for key, milliseconds in entry.items():
            if not _is_positive(milliseconds):
                self._problem(
                    path, f"the time {key} of {_shown(name)}, {json.dumps(milliseconds)}, is not a positive number"
                )
                return
        nanoseconds: Any = self._times.get(name)
        if _is_positive(nanoseconds) and not _is_same(entry[_MLIR_MS], nanoseconds):
            self._problem(
                path,
                f"the time of {_shown(name)}, {entry[_MLIR_MS]} ms, is not that of the files of times, "
                f"{nanoseconds} ns",
            )

    def _check_programs(self, mlir_opt: str | None, listener: Listener) -> None:
        """Check the programs; files of the same bytes once."""
        contents = {path: _content(path) for path in self._programs}
        firsts: dict[object, Path] = {}
        for path, content in contents.items():
            firsts.setdefault(content, path)
        listener.on_start(len(firsts))
        reports: dict[object, ProgramReport] = {}
        for content, report in zip(firsts, check_programs(firsts.values(), mlir_opt), strict=True):
            reports[content] = report
            listener.on_written(1)
        for path, needs_tag in self._programs.items():
            report = reports[contents[path]]
            for problem in report.problems:
                self._problem(path, problem)
            if needs_tag and report.tag_problem is not None:
                self._problem(path, report.tag_problem)
            for advice in report.advice:
                self._advice(path, advice)
        self._advise_on_tiling([path for path in self._programs if not reports[contents[path]].can_be_tiled])
        self._report.programs = len(self._programs)

    def _advise_on_tiling(self, found: list[Path]) -> None:
        """Say once for the folder which programs have nothing to tile: it may be meant so."""
        if found:
            more = f" So it is with {len(found)} of the {len(self._programs)} programs." if len(found) > 1 else ""
            self._advice(found[0], f"{NOTHING_TO_TILE}.{more}")

    def _read_object(self, path: Path) -> dict[str, Any]:
        """Read an object of JSON; an empty one, and a problem, when the file is none."""
        repeated: list[str] = []

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                keys = [key for key, _ in pairs]
                repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
            return found

        try:
            read = json.loads(foreign.read_text(path), object_pairs_hook=unique)
        except OSError as error:
            self._problem(path, f"it cannot be read: {error.strerror or error}")
            return {}
        except (ValueError, RecursionError) as error:
            self._problem(path, f"it is not JSON: {error}")
            return {}
        for key in repeated:
            self._problem(path, f"{_shown(key)} is in it more than once, and only the last counts")
        if not isinstance(read, dict):
            self._problem(path, "it is not a JSON object of names")
            return {}
        return read


def _is_variant(place: Path) -> bool:
    return (place / BASELINES).exists() or any(True for split in _SPLITS for _ in _programs_in(place / split))


def _programs_in(folder: Path) -> Iterable[Path]:
    return _sorted_programs(folder) if folder.is_dir() else iter(())


def _sorted_programs(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if path.suffix == ".mlir")


def _is_positive(number: Any) -> bool:
    if isinstance(number, bool):
        return False
    # JSON has whole numbers that no float holds.
    return number > 0 if isinstance(number, int) else isinstance(number, float) and math.isfinite(number) and number > 0


def _is_same(milliseconds: float, nanoseconds: float) -> bool:
    one, other = Fraction(milliseconds) * 10**6, Fraction(nanoseconds)
    return abs(one - other) <= _SAME_TIME * max(one, other)


def _file_problem(path: Path) -> str | None:
    """Say why a file is not there, if there is more to say than that; None when it is there."""
    try:
        return None if path.is_file() else ""
    except OSError as error:
        return f": {error.strerror or error}"


def _shown(name: str) -> str:
    """Return a name as it can be printed on one line, whatever is in it."""
    return name if name.isprintable() else json.dumps(name)


def _on_one_line(text: str) -> str:
    """Return a text as it can be printed: the names in it may be anyone's."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _content(path: Path) -> object:
    """Return what tells files of the same bytes; the path itself when it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return path
