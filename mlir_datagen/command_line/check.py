"""Check a folder against all that MLIR-RL reads: `mlir-datagen check outputs/<dataset>/mlir_rl`.

The programs are parsed, verified, bufferized and lowered, not run: one that aborts or takes for ever is not found.

The exit code is 0 when nothing is wrong, 1 when something is, and 2 for a folder that is not one.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.telling import progress, say
from mlir_datagen.export.mlir_rl.checker import Finding, check_folder
from mlir_datagen.mlir.mlir_rl_lowering import check_tool

_MLIR_OPT = "mlir-opt-19"
_WHAT = (
    "Check a folder that MLIR-RL is to load: its files, and that every program can be parsed, bufferized and lowered. "
    "The programs are not run."
)
_SHOWN_ADVICE = 10
_WRONG = 1


def _main(folder: Path, mlir_opt: str | None, strict: bool) -> None:
    mlir_opt = mlir_opt or shutil.which(_MLIR_OPT)
    about_tool = None if mlir_opt is None else check_tool(mlir_opt)
    started = time.perf_counter()
    with progress("reading", "checking") as listener:
        report = check_folder(folder, mlir_opt, listener)
    if mlir_opt is not None and about_tool is not None:
        report.advice.insert(0, Finding(mlir_opt, about_tool))
    for finding in report.problems:
        say(f"{finding.file}: {finding.text}")
    _print_advice(report.advice, len(report.advice) if strict else _SHOWN_ADVICE)
    print(f"lowered, not run, with: {mlir_opt or 'the MLIR of this package; ' + _MLIR_OPT + ' is not installed'}")
    wrong = len(report.problems) + (len(report.advice) if strict else 0)
    print(f"programs checked: {report.programs}; problems: {wrong}; advice: {len(report.advice)}")
    print(f"checked in {time.perf_counter() - started:.1f} s")
    if wrong:
        sys.exit(_WRONG)
    print(f"MLIR-RL can load it: {folder}")


def _print_advice(advice: Sequence[Finding], shown: int) -> None:
    for finding in advice[:shown]:
        say(f"advice: {finding.file}: {finding.text}")
    if len(advice) > shown:
        print(f"advice: and {len(advice) - shown} more of the kind")


command = Command(
    "check",
    callback=_main,
    help=_WHAT,
    params=[
        click.Argument(["folder"], type=click.Path(path_type=Path), help="the folder"),
        click.Option(["--mlir-opt"], help=f"what lowers the programs (default: {_MLIR_OPT} if it is installed)"),
        click.Option(["--strict"], is_flag=True, help="take advice, such as on unusual times, for problems"),
    ],
    examples=[
        ("outputs/<dataset>/mlir_rl", "ours or anyone's"),
        ("outputs/<dataset>/mlir_rl --strict", "advice counts as a problem, too"),
    ],
    exit_codes={"0": "nothing is wrong", "1": "something is wrong", "2": "bad input, such as a folder that is none"},
)
