"""Proving a single program: what a rejected one is looked at with."""

from __future__ import annotations

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.program_family import AnySpec
from mlir_datagen.ops.structured_operation import NAMED
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.proving.job import job_of


def prove_program(family: str, spec: AnySpec, level: str, measure: bool, form: str = NAMED) -> Proof | Failure:
    """Make one program, check it up to a level, and measure it if asked to, with the default limits."""
    text = PROGRAM_FAMILIES[family].program(spec, form)
    try:
        Verifier().verify(text)
    except Rejection as rejection:
        return Failure(rejection.stage, rejection.reason)
    if level == "parse" and not measure:
        return PARSED
    from mlir_datagen.proving.prover import Prover

    config = compose_config([f"check={level}", f"measure={'baseline' if measure else 'none'}"])
    with Prover(config.check, config.measure, config.sandbox) as prover:
        (outcome,) = prover.prove([job_of(PROGRAM_FAMILIES[family], spec, text, level, measure)])
    return outcome
