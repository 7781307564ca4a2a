"""Print and check one program: `mlir-datagen program matmul '{"m": 64, "n": 64, "k": 32}'`.

This is the command that a rejected program is listed with.
"""

from __future__ import annotations

import sys

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.errors import UserError
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.structured_operation import FORMS, NAMED
from mlir_datagen.pipeline.one_program import prove_program
from mlir_datagen.programs.proof import LEVELS, Failure
from mlir_datagen.programs.spec import parse_spec


def _main(family: str, spec: str, form: str, check: str, measure: bool) -> None:
    parsed = parse_spec(family, spec)
    print(PROGRAM_FAMILIES[family].program(parsed, form), end="")
    outcome = prove_program(family, parsed, check, measure, form)
    if isinstance(outcome, Failure):
        raise UserError(f"The program is rejected at the stage {outcome.stage}: {outcome.reason}")
    if outcome.measurement is not None:
        print(f"one call: {outcome.measurement.median_ns:.0f} ns", file=sys.stderr)
    if outcome.error is not None:
        print(f"largest error relative to the reference: {outcome.error:.1e}", file=sys.stderr)


command = Command(
    "program",
    callback=_main,
    help="Print one program, and check it with MLIR's parser and verifier.",
    params=[
        click.Argument(["family"], help="the op family"),
        click.Argument(["spec"], help="the spec as JSON: the column `spec` of an index"),
        click.Option(
            ["--form"],
            type=click.Choice(list(FORMS)),
            default=NAMED,
            show_default=True,
            help="how its operations are written",
        ),
        click.Option(
            ["--check"],
            type=click.Choice(list(LEVELS)),
            default="parse",
            show_default=True,
            help="how far it is checked",
        ),
        click.Option(["--measure"], is_flag=True, help="measure the time of one call, too"),
    ],
    examples=[
        ("""matmul '{"m": 64, "n": 64, "k": 32}'""", "print it, parsed and verified"),
        ("""matmul '{"m": 64, "n": 64, "k": 32}' --check execute --measure""", "run it, compare and measure it, too"),
    ],
)
