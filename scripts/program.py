"""Print and check one program: `python scripts/program.py matmul '{"m": 64, "n": 64, "k": 32}'`.

This is the command that a rejected program is listed with.
"""

from __future__ import annotations

import argparse
import sys

import _cli

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.program import program_from_json


def main() -> None:
    """Print the program that the command line names."""
    parser = argparse.ArgumentParser(description="Print one program, and check it with MLIR's parser and verifier.")
    parser.add_argument("family", help="the op family")
    parser.add_argument("spec", help="the spec as JSON: the column `spec` of an index")
    arguments = parser.parse_args()
    text = program_from_json(arguments.family, arguments.spec)
    print(text, end="")
    try:
        Verifier().verify(text)
    except Rejection as rejection:
        raise UserError(f"The program is rejected at the stage {rejection.stage}: {rejection.reason}") from rejection


if __name__ == "__main__":
    sys.exit(_cli.run(main))
