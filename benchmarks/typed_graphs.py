"""Runs drawn graphs in every element type that their families may have, and wrong ones, which must be found.

    python benchmarks/typed_graphs.py --programs 100

Wrong are another scalar operation in a body, another number, and an operand of which one element is read along a loop.
Whether a wrong program computes anything else is seen in double precision, on what the right one is compared on.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from typed_programs import OTHER_SCALARS, SCALAR

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES, DrawnFamily, GraphSpec
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving.job import Job, job_of
from mlir_datagen.proving.prover import Prover
from mlir_datagen.proving.reference import empty_results, random_arguments
from mlir_datagen.sources.random_ops import RandomOps

_SMALL = ("dims=small", "splits=null", "limits.max_flops=200000")
_LEAST_UNITS = 8
"""Of rounding: what a fault must change in double precision to be one in the element type, of the largest result."""
_NUMBER = re.compile(r"arith\.constant (-?\d+(?:\.\S*)?)(?= :)")
_MAP = re.compile(r"-> \(([^()]+)\)>(?=, affine_map)")
_LOOP = re.compile(r"\bd\d+\b")

Change = Callable[[str], str]


class Case(NamedTuple):
    """A program of a family, with what is wrong with it, if anything."""

    family: DrawnFamily
    spec: GraphSpec
    defect: str | None
    job: Job


def specs(family: DrawnFamily, dtype: str, count: int) -> list[GraphSpec]:
    """Return the first graphs that a run with small dimensions has."""
    config = compose_config(
        [f"ops=[{family.name}]", f"ops.{family.name}.dtypes=[{dtype}]", f"num_samples={count}", *_SMALL]
    )
    plan = RandomOps(config.random_settings).plan(config.splits)
    found: list[Any] = [spec for task in plan.tasks for _, spec in task.specs()]
    return found


def cases(family: DrawnFamily, dtype: str, count: int) -> Iterator[Case]:
    """Yield programs, and of each a wrong one that differs, if one is found."""
    contexts, generator = Contexts(), np.random.default_rng(0)
    for spec in specs(family, dtype, count):
        right = family.program(spec, GENERIC)
        yield Case(family, spec, None, job_of(family, spec, right, "execute", measure=False))
        wide = in_double_precision(family, spec)
        for defect, change in changes(right, generator):
            least = _LEAST_UNITS * ELEMENT_TYPES[dtype].unit
            if differs(family, wide, change, contexts, least):
                yield Case(family, spec, defect, job_of(family, spec, change(right), "execute", measure=False))
                break


def in_double_precision(family: DrawnFamily, spec: GraphSpec) -> GraphSpec:
    """Return the same graph of f64."""
    return family.spec_from_json(json.loads(re.sub(r'"b?f\d+"', '"f64"', json.dumps(spec.fields))))


def changes(text: str, generator: np.random.Generator) -> list[tuple[str, Change]]:
    """Return what makes wrong programs of a text, and of the same one of another type, in random order."""
    found: list[tuple[str, Change]] = []
    for defect, pattern, other in (
        ("other scalar", SCALAR, lambda match: f"{OTHER_SCALARS[match[1]]} "),
        ("other number", _NUMBER, lambda match: f"arith.constant {_another(match[1])}"),
        ("one element", _MAP, lambda match: f"-> ({_LOOP.sub('0', match[1], count=1)})>"),
    ):
        found += [(defect, at(pattern, place, other)) for place in range(len(pattern.findall(text)))]
    return [found[place] for place in generator.permutation(len(found))]


def _another(number: str) -> str:
    return repr(float(number) + 0.25) if "." in number else str(int(number) + 1)


def at(pattern: re.Pattern[str], place: int, other: Callable[[Any], str]) -> Change:
    """Return a function that changes one of the places where a text has a pattern."""

    def change(text: str) -> str:
        match = list(pattern.finditer(text))[place]
        return text[: match.start()] + other(match) + text[match.end() :]

    return change


def differs(family: DrawnFamily, spec: GraphSpec, change: Change, contexts: Contexts, least: float) -> bool:
    """Tell whether a changed program is one, and computes something else by more than a part of the largest result."""
    text = family.program(spec, GENERIC)
    job = job_of(family, spec, text, "execute", measure=False)
    arguments, results = random_arguments(job), []
    try:
        for one in (text, change(text)):
            results.append(empty_results(job))
            CompiledProgram(lower(one, contexts.next()), len(job.shapes)).bind([*arguments, *results[-1]]).run()
    except Rejection:
        return False
    return any(
        not np.abs(wrong - right).max() <= least * np.abs(right).max() for right, wrong in zip(*results, strict=True)
    )


def outcomes(prover: Prover, chosen: Sequence[Case]) -> list[tuple[Case, Proof | Failure]]:
    """Return what becomes of each program."""
    return list(zip(chosen, prover.prove([case.job for case in chosen]), strict=True))


def is_as_expected(case: Case, outcome: Proof | Failure) -> bool:
    """Tell whether a right program is kept, or a wrong one found."""
    return isinstance(outcome, Proof if case.defect is None else Failure)


def main() -> None:
    """Run them all, and print what is not as it should be."""
    parser = argparse.ArgumentParser(description="Run drawn graphs in every element type, and wrong ones.")
    parser.add_argument("--programs", type=int, default=50, help="of each family and type")
    parser.add_argument("--families", nargs="*", choices=DRAWN_FAMILIES, default=list(DRAWN_FAMILIES))
    arguments = parser.parse_args()
    run = compose_config(["check=execute"])
    with Prover(run.check, run.measure, run.sandbox) as prover:
        for name in arguments.families:
            family = DRAWN_FAMILIES[name]
            for dtype in family.dtypes:
                found = outcomes(prover, list(cases(family, dtype, arguments.programs)))
                right, wrong = (
                    [is_as_expected(*one) for one in found if (one[0].defect is None) == is_right]
                    for is_right in (True, False)
                )
                print(
                    f"{name} {dtype}: {sum(right)} of {len(right)} match, {sum(wrong)} of {len(wrong)} wrong are found"
                )
                for case, outcome in found:
                    if not is_as_expected(case, outcome):
                        print(f"  {case.spec.kind} {case.defect or 'as it is'}: {outcome}")


if __name__ == "__main__":
    main()
