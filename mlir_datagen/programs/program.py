"""The values that flow from a source to the writer."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.errors import UserError, listed, nearest, shown
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.networks.converted import Argument
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import FAMILY_DTYPES, Loop, Operand, OpFamily, Spec, Variant, flatten
from mlir_datagen.proving.job import Failure, Proof

STAGES = ("emitted", "verified", "unique", "unseen", "lowered", "executed", "matched", "measured")
"""What a program passes, in this order, as far as a run goes; a rejection names the one that it failed."""


NETWORK = "network"
"""The source and the family of a whole network."""
EXTRACTED = "extracted"
"""The source, and the split, of what was taken out of networks."""
NETWORKS_SPLIT = "neural_nets"
"""The split of whole networks."""


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


def spec_json(spec: Spec) -> str:
    """Return a spec as one line of JSON; the family's `spec_from_json` reads it back."""
    return orjson.dumps(spec._asdict()).decode()


def parse_spec(family: str, spec: str) -> Spec:
    """Return the spec that a family's name and its fields as JSON describe.

    Raises:
        UserError: when there is no such family, or its spec has other fields.
    """
    if family not in FAMILIES:
        raise UserError(f'There is no op "{family}".{nearest(family, FAMILIES)} The ops are {listed(FAMILIES)}.')
    try:
        parsed = FAMILIES[family].spec_of_json(spec)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{shown(spec)} is not a spec of {family} as JSON ({error}); the index has a column of them."
        ) from error
    problem = spec_problem(FAMILIES[family], parsed)
    if problem is not None:
        raise UserError(f"{shown(spec)} is not a program of {family}: {problem}.")
    return parsed


def spec_problem(family: OpFamily, spec: Spec) -> str | None:
    """Say why a spec that comes from elsewhere is none of the family's, or return None."""
    for field, value in spec._asdict().items():
        if isinstance(value, str) and field not in ("kind", "dtype"):
            return f"{field} is {shown(value)}, and must be a whole number above 0"
    words, dimensions = flatten(spec)
    if not all(
        isinstance(dimension, int) and not isinstance(dimension, bool) and dimension > 0 for dimension in dimensions
    ):
        return "its dimensions must be whole numbers of at least 1"
    kind, dtype = (words[0] if len(words) > 1 else family.kinds[0]), words[-1]
    if kind not in family.kinds or dtype not in FAMILY_DTYPES:
        return f"its kind must be one of {listed(family.kinds)}, and its dtype one of {listed(FAMILY_DTYPES)}"
    ranks = {variant.rank for variant in family.variants}
    if ranks != {None} and len(dimensions) not in ranks:
        return f"it must have {listed(map(str, family.ranks))} dimensions"
    return next((constraint.if_never for constraint in family.constraints(spec) if not constraint.holds), None)


def rejected_program(family: str, split: str, spec: Spec, failure: Failure) -> Rejected:
    """Describe a rejection so that it can be repeated."""
    written = spec_json(spec)
    option = {"lowered": " --check lower", "executed": " --check execute", "matched": " --check execute"}
    option["measured"] = " --measure"
    command = f"python scripts/program.py {family} {shlex.quote(written)}{option.get(failure.stage, '')}"
    return Rejected(family, split, written, failure.stage, failure.reason, command)


@dataclass(frozen=True)
class Program:
    """A program that was not drawn from a grid: a network, or a part of one.

    Attributes:
        name: its name in its split.
        source: where it comes from, such as `network`.
        family: what it is, such as `network`.
        kind: which of those; for a network the converter.
        spec: JSON from which it can be made again.
        arguments, results: the function's signature.
        loops: the iteration space of the main operation; empty for a network.
        flops: arithmetic operations of all its linalg operations; None where nothing could read them.
        proof: what is proven of it.
        provenance: JSON that says what it was made from.
        multiplicity: how often the network that it comes from has it; None where it is none's part.
        command: what makes it again, for when it is rejected.
        remark: what the person is told of it, if anything.
    """

    name: str
    source: str
    family: str
    kind: str
    spec: str
    seed: int
    text: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]
    loops: tuple[Loop, ...]
    flops: int | None
    proof: Proof
    provenance: str
    multiplicity: int | None = None
    command: str = ""
    remark: str = ""

    @property
    def bytes_moved(self) -> int:
        """The size of arguments and results in bytes."""
        operands = (*self.arguments, *self.results)
        return sum(math.prod(operand.shape) * ELEMENT_TYPES[operand.dtype].size for operand in operands)


def signature(role: str, operands: Iterable[Operand]) -> tuple[Argument, ...]:
    """Return operands as the arguments or results of a function, all of one role."""
    return tuple(Argument(role, operand.name, operand.dtype, operand.shape) for operand in operands)


PARSED = Proof("parse", None, None, ())
"""What is known of a program that passed the parser and the verifier, and nothing more."""


@dataclass(frozen=True)
class ProgramBlock:
    """Programs of one variant, by column.

    Attributes:
        columns: the dimensions, one array for each grid axis of the variant.
        specs: the same, one spec for each program.
        positions: where each program stands among those of its task.
        proofs: what is proven of each.
    """

    family: OpFamily
    variant: Variant
    columns: Sequence[NDArray[np.int64]]
    specs: Sequence[Spec]
    texts: Sequence[str]
    digests: Sequence[str]
    positions: NDArray[np.int64]
    proofs: Sequence[Proof]

    @property
    def spec(self) -> Spec:
        """A spec whose dimensions are columns, one element for each program."""
        return self.family.spec(self.variant, *self.columns)

    def select(self, rows: Sequence[int], proofs: Sequence[Proof]) -> ProgramBlock:
        """Return the block of some of its programs, with what is proven of each of them now."""
        if len(rows) == len(self.texts):
            return dataclasses.replace(self, proofs=proofs)
        chosen = np.asarray(rows, np.int64)
        return ProgramBlock(
            family=self.family,
            variant=self.variant,
            columns=[column[chosen] for column in self.columns],
            specs=[self.specs[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            digests=[self.digests[row] for row in rows],
            positions=self.positions[chosen],
            proofs=proofs,
        )


@dataclass(frozen=True)
class Batch:
    """What a task produced: blocks whose positions together are in plan order, and what was rejected."""

    split: str
    source: str
    seed: int
    blocks: Sequence[ProgramBlock]
    rejected: Sequence[Rejected]

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows of all blocks, one after the other, in plan order."""
        return np.argsort(np.concatenate([block.positions for block in self.blocks]))

    @property
    def proofs(self) -> list[Proof]:
        """What is proven of each program, in plan order."""
        proofs = [proof for block in self.blocks for proof in block.proofs]
        return [proofs[row] for row in self.order]

    def sift(self, judge: Callable[[ProgramBlock], Iterable[Proof | Failure]]) -> Batch:
        """Return the batch without the programs that fail a further stage.

        Args:
            judge: called with each block; its answer for each program of it, in order.
        """
        blocks = []
        rejected = list(self.rejected)
        for block in self.blocks:
            rows, proofs = [], []
            for row, outcome in enumerate(judge(block)):
                if isinstance(outcome, Proof):
                    rows.append(row)
                    proofs.append(outcome)
                else:
                    rejected.append(rejected_program(block.family.name, self.split, block.specs[row], outcome))
            blocks.append(block.select(rows, proofs))
        return dataclasses.replace(self, blocks=blocks, rejected=rejected)
