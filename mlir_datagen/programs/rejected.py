"""Programs that are not kept."""

from __future__ import annotations

from dataclasses import dataclass

from mlir_datagen.ops.structured_operation import NAMED
from mlir_datagen.programs.proof import Failure
from mlir_datagen.programs.spec import program_command


@dataclass(frozen=True)
class Rejected:
    """A program that was not kept, with what is needed to see it again.

    Attributes:
        spec: the spec as JSON.
        stage: the stage it failed, one of `STAGES`.
        reason: why, on one line.
        command: the command that makes and checks this program alone.
        name: what it is called where it is listed; empty for a program that was drawn.
    """

    family: str
    split: str
    spec: str
    stage: str
    reason: str
    command: str
    name: str = ""


def rejected_program(
    family: str, split: str, spec: str, failure: Failure, form: str = NAMED, name: str = ""
) -> Rejected:
    """Describe a rejection so that it can be repeated.

    Args:
        family: the family's name.
        split: the split that it was made for.
        spec: the program's spec as JSON.
        failure: why it is not kept.
        form: the form that was asked for.
        name: what it is called where it is listed.
    """
    option = {"lowered": " --check lower", "executed": " --check execute", "matched": " --check execute"}
    option["measured"] = " --measure"
    command = program_command(family, spec, form) + option.get(failure.stage, "")
    return Rejected(family, split, spec, failure.stage, failure.reason, command, name)
