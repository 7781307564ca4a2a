"""Runs a small program of every op in every element type that it may have, and wrong ones, which must be found.

    python benchmarks/typed_programs.py

Wrong are another scalar operation in the body, an operand of which one element is read along a dimension, and a number
instead of a scalar that is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mlir_datagen.config.compose import compose_config
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving.job import Job, job_of
from mlir_datagen.proving.prover import Prover

_ONE, _TWO = ("stride", "dilation"), ("kernel", "multiplier", "groups")
OTHER_SCALARS = {
    "addf": "arith.subf", "addi": "arith.subi", "subf": "arith.addf", "subi": "arith.addi", "mulf": "arith.addf",
    "muli": "arith.addi", "divf": "arith.mulf", "divsi": "arith.muli", "divui": "arith.divsi",
    "maximumf": "arith.minimumf", "minimumf": "arith.maximumf", "maxsi": "arith.minsi", "minsi": "arith.maxsi",
    "maxui": "arith.maxsi", "minui": "arith.minsi", "powf": "arith.divf", "exp": "math.exp2", "log": "math.log2",
    "absf": "arith.negf", "negf": "math.absf", "ceil": "math.floor", "floor": "math.ceil", "round": "math.floor",
    "sqrt": "math.rsqrt", "rsqrt": "math.sqrt", "tanh": "math.erf", "erf": "math.tanh", "sin": "math.cos",
    "cos": "math.sin", "log1p": "math.exp",
}  # fmt: skip
GIVEN = re.compile(r"tensor\.extract %\w+\[\] : tensor<(\w+)>")
SCALAR = re.compile(rf"(?:arith|math)\.({'|'.join(OTHER_SCALARS)}) ")


class Case(NamedTuple):
    """A program: of which op, with which word for its element types, and what is wrong with it, if anything."""

    family: OpFamily
    word: str
    defect: str | None
    job: Job

    def problem(self, outcome: Proof | Failure) -> str | None:
        """Say what is not as it should be about what became of it."""
        as_expected = isinstance(outcome, Proof) if self.defect is None else _is_found(outcome)
        return None if as_expected else f"{self.family.name} {self.word} {self.defect or 'as it is'}: {outcome}"


def _is_found(outcome: Proof | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.stage == "matched"


def small_spec(family: OpFamily, word: str, place: int = 0) -> Spec:
    """Return a small program: number `place` of the variants that have these element types takes its turn."""
    having = [variant for variant in family.variants if word in variant.words]
    variant = having[place % len(having)].of(word)
    kinds = [axis.partition("_")[0] for axis in variant.axes]
    sizes = [1 if kind in _ONE else 2 if kind in _TWO else 3 + number % 3 for number, kind in enumerate(kinds)]
    named = dict(zip(variant.axes, sizes, strict=True))
    # What is cut into tiles has two of them.
    return family.spec(
        variant, *(2 * named[f"tile_{axis}"] if f"tile_{axis}" in named else size for axis, size in named.items())
    )


def cases(family: OpFamily, word: str, place: int = 0) -> Iterator[Case]:
    """Yield a program and wrong ones."""
    spec = small_spec(family, word, place)
    texts = [(None, family.program(spec)), *wrong_ones(family.program(spec, GENERIC)).items()]
    for defect, text in texts:
        yield Case(family, word, defect, job_of(family, spec, text, "execute", measure=False))


def wrong_ones(text: str) -> dict[str, str]:
    """Return what makes wrong programs of a generic one, by what is wrong: whatever of it the program has."""
    other = SCALAR.sub(lambda found: f"{OTHER_SCALARS[found[1]]} ", text, count=1)
    swapped = text.replace("arith.select %in, %in_0, %in_1", "arith.select %in, %in_1, %in_0")
    constant = GIVEN.sub(lambda found: f"arith.constant {7.0 if 'f' in found[1] else 7} : {found[1]}", text, count=1)
    found = {"other scalar": other, "swapped": swapped, "one element": _with_one_element(text), "constant": constant}
    return {defect: wrong for defect, wrong in found.items() if wrong != text}


def _with_one_element(text: str) -> str:
    """Read one element of the first operand along a loop of which another operand shows how long it is."""
    first, *others = (indices.split(", ") for indices in re.findall(r"-> \((.*?)\)>", text))
    # What has no dimensions has one element; and a softmax is the same from whichever element it starts.
    if first == [""] or text.count("linalg.generic") > 2:
        return text
    known = [loop for loop in first if any(loop in other for other in others)]
    read = ", ".join("0" if loop in known[:1] else loop for loop in first)
    return text.replace(f"-> ({', '.join(first)})", f"-> ({read})", 1)


def problems(chosen: list[Case]) -> list[str]:
    """Return what is not as it should be."""
    run = compose_config(["check=execute"])
    with Prover(run.check, run.measure, run.sandbox) as prover:
        outcomes = prover.prove([case.job for case in chosen])
        found = [case.problem(outcome) for case, outcome in zip(chosen, outcomes, strict=True)]
    return [problem for problem in found if problem is not None]


def main() -> None:
    """Run them all, and print what is not as it should be."""
    pairs = [(family, word) for family in FAMILIES.values() for word in family.dtypes]
    chosen = [case for place, pair in enumerate(pairs) for case in cases(*pair, place)]
    wrong = sum(case.defect is not None for case in chosen)
    found = problems(chosen)
    print("\n".join(found))
    print(f"{len(pairs)} pairs of op and element types, {wrong} wrong programs: {len(found)} not as they should be")


if __name__ == "__main__":
    main()
