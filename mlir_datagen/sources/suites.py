"""Suites: fixed lists of programs to evaluate on, held to their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.programs.batch import Batch, ListedBlock
from mlir_datagen.programs.program import Program, family_program
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.programs.spec import spec_of_fields
from mlir_datagen.sources.extraction import extracted_programs
from mlir_datagen.sources.settings import SuiteSpec
from mlir_datagen.sources.source import Listed, ListedSource, Plan, Taken

if TYPE_CHECKING:
    from mlir_datagen.sources.networks import Networks

SOURCE = "suite"


@dataclass(frozen=True)
class SuiteTask:
    """A suite, which is made as a whole, and what became of the networks that it names."""

    suite: SuiteSpec
    networks: Sequence[Program | Rejected]


class Suites(ListedSource):
    """The source of suites.

    Args:
        suites: the suites.
        networks: converts the networks that they name.
    """

    def __init__(self, suites: Iterable[SuiteSpec], networks: Networks) -> None:
        self._suites = list(suites)
        self._networks = networks

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan[SuiteTask]:
        """Plan all suites, in their order; their networks are converted for that."""
        return Plan([SuiteTask(suite, self._networks.of_suite(suite)) for suite in self._suites])

    @staticmethod
    def produce(task: SuiteTask) -> Batch:
        """Make the programs of a suite, verified.

        Raises:
            UserError: when one of its programs cannot be made, or they are not those that its digest says.
        """
        suite = task.suite
        programs = listed_programs(suite) if suite.programs else _of_networks(task)
        found = digest_of([program.name for program in programs], ListedBlock(programs).digests)
        if suite.digest is not None and found != suite.digest:
            raise UserError(
                f"The suite {suite.name} version {suite.version} has the digest {suite.digest}, and its programs have "
                f"{found} here: its list was changed, or another version of torch-mlir, torch or this package makes "
                "other text of it. Results on it would not compare with published ones. Restore the list, or give a "
                "changed one a new version and this digest."
            )
        return Batch.listed(
            suite.split, programs, kept_out={"version": suite.version, "digest": found, "size": len(programs)}
        )

    def must_be(self, task: SuiteTask, result: TaskResult) -> Listed:
        """Return what is known of a suite."""
        suite = task.suite
        digest = suite.digest
        if digest is None and not result.rejected:
            digest = digest_of(result.strings("own_name"), result.strings("sha256"))
        elif digest is None:
            # The texts of those that were rejected later are not known.
            digest = (result.kept_out or {}).get("digest")
        names = list(suite.programs) or ([model.name for model in suite.models] if suite.is_of_networks else None)
        return Listed(suite.split, {"version": suite.version, "digest": digest, "size": result.attempted}, names)


def _of_networks(task: SuiteTask) -> list[Program]:
    suite, networks = task.suite, list[Program]()
    for outcome in task.networks:
        if isinstance(outcome, Rejected):
            raise UserError(
                f"A network of the suite {suite.name} failed at the stage {outcome.stage}: {outcome.reason} "
                f"To see it: {outcome.command}"
            )
        networks.append(outcome)
    return networks if suite.extract.window is None else list(extracted_programs(networks, suite.extract))


def digest_of(names: Sequence[str], digests: Sequence[str]) -> str:
    """Return the digest of the names and the texts' digests of programs, in order."""
    lines = [f"{name} {sha256}\n" for name, sha256 in zip(names, digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def listed_programs(suite: SuiteSpec) -> list[Program]:
    """Return the programs of a suite that lists specs, verified."""
    verifier = Verifier()
    programs = []
    for name, (op, fields) in suite.programs.items():
        provenance = orjson.dumps({"suite": suite.name}).decode()
        program = family_program(
            name, SOURCE, PROGRAM_FAMILIES[op], spec_of_fields(op, fields), 0, provenance=provenance
        )
        verifier.verify(program.text)
        programs.append(program)
    return programs
