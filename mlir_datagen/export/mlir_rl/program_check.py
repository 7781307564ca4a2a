"""Checking the files of programs, each in a worker process: a file that crashes MLIR costs that file alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from mlir_datagen import foreign
from mlir_datagen.errors import Rejection
from mlir_datagen.export.mlir_rl.contract import can_be_tiled, program_problems, tag_problem
from mlir_datagen.mlir.mlir_rl_lowering import examine

_SECONDS = 600


@dataclass(frozen=True)
class ProgramReport:
    """What is said of a program's file.

    Attributes:
        problems: what is wrong with it.
        tag_problem: what is wrong for the *llm_action* variant alone.
        advice: what works, but may not be as it is meant to be.
        can_be_tiled: whether there is something to tile in it, as far as that is known.
    """

    problems: list[str]
    tag_problem: str | None = None
    advice: list[str] = field(default_factory=list)
    can_be_tiled: bool = True


def check_programs(paths: Iterable[Path], mlir_opt: str | None) -> Iterator[ProgramReport]:
    """Yield what is wrong with each file, in order.

    Args:
        paths: the files.
        mlir_opt: the program that lowers them; None to lower them in process.
    """
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Forked from a process that has imported everything and has no threads, which do not survive a fork.
    multiprocessing.set_forkserver_preload([__name__])
    with ProcessPool(max_workers=workers, context=multiprocessing.get_context("forkserver")) as pool:
        futures = [pool.schedule(check_program, args=(path, mlir_opt), timeout=_SECONDS) for path in paths]
        for future in futures:
            try:
                yield future.result()
            except ProcessExpired as expired:
                yield ProgramReport([f"it crashes MLIR: the process that read it ended with {expired.exitcode}"])
            except FutureTimeoutError:
                yield ProgramReport([f"reading and lowering it takes longer than {_SECONDS} s"])


def check_program(path: Path, mlir_opt: str | None) -> ProgramReport:
    """Check a file in this process, which may crash."""
    try:
        text = foreign.read_text(path, foreign.LARGEST_PROGRAM)
    except OSError as error:
        return ProgramReport([f"it cannot be read: {error.strerror or error}"])
    except UnicodeDecodeError as error:
        return ProgramReport([f"it is not text in UTF-8: {error.reason} at byte {error.start}"])
    if "\0" in text:
        return ProgramReport(["it is not text: it has a zero byte"])
    try:
        facts, lowering, translation = examine(text, mlir_opt)
    except Rejection as rejection:
        return ProgramReport([f"MLIR cannot parse it: {rejection.reason}"])
    problems = [*dict.fromkeys(program_problems(facts)), *([lowering] if lowering else [])]
    if translation is not None:
        # The tag is lost on the way.
        return ProgramReport(problems, None, [translation], can_be_tiled(facts))
    return ProgramReport(problems, tag_problem(facts), can_be_tiled=can_be_tiled(facts))
