"""Print and check one program: `python scripts/program.py matmul '{"m": 64, "n": 64, "k": 32}'`.

This is the command that a rejected program is listed with.
"""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys

from mlir_datagen.errors import UserError
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.structured_operation import FORMS, NAMED
from mlir_datagen.pipeline.one_program import prove_program
from mlir_datagen.programs.proof import LEVELS, Failure
from mlir_datagen.programs.spec import parse_spec


def main() -> None:
    """Print the program that the command line names."""
    parser = argparse.ArgumentParser(description="Print one program, and check it with MLIR's parser and verifier.")
    parser.add_argument("family", help="the op family")
    parser.add_argument("spec", help="the spec as JSON: the column `spec` of an index")
    parser.add_argument("--form", choices=FORMS, default=NAMED, help="how its operations are written (default: named)")
    parser.add_argument("--check", choices=LEVELS, default="parse", help="how far it is checked (default: parse)")
    parser.add_argument("--measure", action="store_true", help="measure the time of one call, too")
    arguments = parser.parse_args()
    spec = parse_spec(arguments.family, arguments.spec)
    print(PROGRAM_FAMILIES[arguments.family].program(spec, arguments.form), end="")
    outcome = prove_program(arguments.family, spec, arguments.check, arguments.measure, arguments.form)
    if isinstance(outcome, Failure):
        raise UserError(f"The program is rejected at the stage {outcome.stage}: {outcome.reason}")
    if outcome.measurement is not None:
        print(f"one call: {outcome.measurement.median_ns:.0f} ns", file=sys.stderr)
    if outcome.error is not None:
        print(f"largest error relative to the reference: {outcome.error:.1e}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(_cli.run(main))
