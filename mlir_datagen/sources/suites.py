"""Suites: fixed lists of programs to evaluate on, held to their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.mlir.signature import signature
from mlir_datagen.networks.model_spec import ModelSpec
from mlir_datagen.ops import FAMILIES
from mlir_datagen.programs.program import Program
from mlir_datagen.programs.proof import PARSED
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.programs.spec import spec_json, spec_of_fields
from mlir_datagen.sources.settings import SuiteSpec

SOURCE = "suite"
Convert = Callable[[Sequence[ModelSpec], str], Iterator[Program | Rejected]]
"""Converts networks with a converter."""


def suite_programs(suite: SuiteSpec, convert: Convert) -> list[Program]:
    """Return the programs of a suite, verified.

    Args:
        suite: the suite.
        convert: converts the networks that it names.

    Raises:
        UserError: when one of its programs cannot be made, or they are not those that its digest says.
    """
    programs = listed_programs(suite) if suite.programs else _of_networks(suite, convert)
    found = digest(programs)
    if suite.digest is not None and found != suite.digest:
        raise UserError(
            f"The suite {suite.name} version {suite.version} has the digest {suite.digest}, and its programs have "
            f"{found} here: its list was changed, or another version of torch-mlir, torch or this package makes other "
            "text of it. Results on it would not compare with published ones. Restore the list, or give a changed one "
            "a new version and this digest."
        )
    return programs


def digest(programs: Sequence[Program]) -> str:
    """Return the digest of the names and texts of programs, in order."""
    digests = [hashlib.sha256(program.text.encode()).hexdigest() for program in programs]
    return digest_of([program.name for program in programs], digests)


def digest_of(names: Sequence[str], digests: Sequence[str]) -> str:
    """Return the digest of the names and the texts' digests of programs, in order."""
    lines = [f"{name} {sha256}\n" for name, sha256 in zip(names, digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def listed_programs(suite: SuiteSpec) -> list[Program]:
    """Return the programs of a suite that lists specs, verified."""
    verifier = Verifier()
    programs = []
    for name, (op, fields) in suite.programs.items():
        program = _program(suite.name, name, op, spec_of_fields(op, fields))
        verifier.verify(program.text)
        programs.append(program)
    return programs


def _program(suite: str, name: str, op: str, spec: Any) -> Program:
    family = FAMILIES[op]
    kind = spec.kind
    return Program(
        name=name,
        source=SOURCE,
        family=op,
        kind=kind,
        spec=spec_json(spec),
        seed=0,
        text=family.program(spec),
        arguments=signature("input", family.arguments(spec)),
        results=signature("output", family.results(spec)),
        loops=family.loops(spec),
        flops=int(family.flops(spec)),
        proof=PARSED,
        provenance=orjson.dumps({"suite": suite}).decode(),
        command=f"python scripts/program.py {op} '{spec_json(spec)}'",
    )


def _of_networks(suite: SuiteSpec, convert: Convert) -> list[Program]:
    assert suite.converter is not None
    networks = []
    for outcome in convert(suite.models, suite.converter):
        if isinstance(outcome, Rejected):
            raise UserError(
                f"A network of the suite {suite.name} failed at the stage {outcome.stage}: {outcome.reason} "
                f"To see it: {outcome.command}"
            )
        networks.append(outcome)
    if suite.extract.window is None:
        return networks
    from mlir_datagen.sources.extraction import extracted_programs

    return [program for _, program in extracted_programs(networks, suite.extract)]
