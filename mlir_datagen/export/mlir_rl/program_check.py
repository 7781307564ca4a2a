"""Checking the files of programs, each in a worker process: a file that crashes MLIR costs that file alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mlir_datagen import foreign
from mlir_datagen.errors import Rejection
from mlir_datagen.export.mlir_rl.contract import can_be_tiled, program_problems, tag_problem
from mlir_datagen.mlir.mlir_rl_lowering import examine
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import Cores, SandboxLimits

_LIMITS = SandboxLimits(seconds=600, memory_bytes=1 << 34)


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
    SERVER.load([__name__])
    cores = Cores.available()
    with Pool(len({cores.measuring, *cores.others}), _LIMITS, None, _LIMITS.seconds) as pool:
        yield from pool.run(partial(check_program, mlir_opt=mlir_opt), paths, _failed)


def _failed(_: Path, reason: str) -> ProgramReport:
    return ProgramReport([f"it crashes MLIR, or takes too much time or memory: {reason}"])


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
