"""Programs that are known one by one: listed, and not drawn from a grid; or stored in a dataset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.signature import Argument, Outline, signature
from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.ops.structured_operation import NAMED
from mlir_datagen.programs.forms import UNKNOWN, Written, written
from mlir_datagen.programs.proof import PARSED, Proof
from mlir_datagen.programs.spec import spec_json

NETWORK = "network"
"""The source and the family of a whole network."""
EXTRACTED = "extracted"
"""The source, and the split, of what was taken out of networks."""
NETWORKS_SPLIT = "neural_nets"
"""The split of whole networks."""


@dataclass(frozen=True)
class Program:
    """A program that is known one by one: a network, a part of one, or an op family's.

    Attributes:
        name: its name in its split.
        source: where it comes from, such as `network`.
        family: what it is, such as `network`.
        kind: which of those; for a network the converter.
        spec: JSON from which it can be made again.
        arguments, results: the function's signature.
        outline: the graph of its operations; None where nothing could read it.
        proof: what is proven of it.
        provenance: JSON that says what it was made from; None for what was drawn.
        multiplicity: how often the network that it comes from has it; None where it is none's part.
        command: what makes it again, for when it is rejected; empty where its spec and the form tell that.
        asked_form: the form that it was asked for in.
        remark: what the person is told of it, if anything.
        written: its form, and the MLIR that parses it, where that is known.
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
    outline: Outline | None
    proof: Proof
    provenance: str | None = None
    multiplicity: int | None = None
    command: str = ""
    asked_form: str = NAMED
    remark: str = ""
    written: Written = UNKNOWN

    @property
    def bytes_moved(self) -> int:
        """The size of arguments and results in bytes."""
        operands = (*self.arguments, *self.results)
        return sum(math.prod(operand.shape) * ELEMENT_TYPES[operand.dtype].size for operand in operands)


def family_program(
    name: str,
    source: str,
    family: AnyFamily,
    spec: AnySpec,
    seed: int,
    form: str = NAMED,
    provenance: str | None = None,
) -> Program:
    """Return the program of a family's spec, in the form that is asked for; no parser has seen it."""
    graph = family.graph(spec)
    return Program(
        name=name,
        source=source,
        family=family.name,
        kind=spec.kind,
        spec=spec_json(spec),
        seed=seed,
        text=family.program(spec, form),
        arguments=signature("input", graph.arguments),
        results=signature("output", graph.results),
        outline=graph.outline(),
        proof=PARSED,
        provenance=provenance,
        asked_form=form,
        written=written(family, spec, form),
    )


class StoredProgram(NamedTuple):
    """A program as a dataset holds it."""

    split: str
    name: str
    source: str
    family: str
    spec: str
    sha256: str
    text: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]
