"""A network that is given as a module of PyTorch, as a program: captured here, all else in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import orjson

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.networks.conversion import convert
from mlir_datagen.networks.converted import Converted, result_types
from mlir_datagen.networks.fallback import FIRST, SECOND, both_failed, not_by_first, said_of_second, written
from mlir_datagen.networks.isolated import IsolatedProgram
from mlir_datagen.networks.model_spec import AUTO
from mlir_datagen.networks.oracle.reference import expected_results
from mlir_datagen.networks.oracle.verdict import judge
from mlir_datagen.programs.program import NETWORK, Program
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.progress import StageLine
from mlir_datagen.proving.settings import SandboxLimits

if TYPE_CHECKING:
    import torch

    from mlir_datagen.mlir.torch_lowering import Linalg

UNVERIFIED = "unverified"
"""The level of a program that no parser has seen, since torch-mlir is not installed."""


@dataclass
class GivenNetwork:
    """A network that is converted for the Python call.

    Attributes:
        network: in evaluation mode.
        inputs: by name and in order.
        name: of the program and of its function.
        weights: where parameters and buffers go, one of `WEIGHTS`.
        check: how far it is checked, one of `LEVELS`.
        limits: what all after the capture may take, with each converter.
        line: is told what is being done.
    """

    network: torch.nn.Module
    inputs: Mapping[str, torch.Tensor]
    name: str
    weights: str
    check: str
    limits: SandboxLimits
    line: StageLine

    def program(self, kind: str) -> Program:
        """Convert and check the network with a converter, or with `AUTO`.

        Raises:
            Rejection: when it fails a stage.
            UserError: when PyTorch refuses it, or the manual converter does.
        """
        if kind != AUTO:
            return self._program(kind)
        try:
            return self._program(FIRST)
        except Rejection as rejection:
            first = Failure(rejection.stage, rejection.reason)
        try:
            program = self._program(SECOND, instead_of=FIRST)
        except Rejection as rejection:
            both = both_failed(first, Failure(rejection.stage, rejection.reason))
            raise Rejection(both.stage, both.reason) from rejection
        except UserError as error:
            raise UserError(f"{self.name} was not converted. {not_by_first(first)} {error}") from error
        self.line.say(said_of_second(self.name, first))
        return program

    def _program(self, kind: str, instead_of: str | None = None) -> Program:
        if find_spec("torch_mlir") is None:
            converted, outline, proof = self._converted(kind, None), None, Proof(UNVERIFIED, None, None, ())
            remark = ""
        else:
            with IsolatedProgram(self.limits, self.line.tick) as program:
                converted = self._converted(kind, program)
                self.line.enter("verifying")
                outline = program.verify(converted.text)
                proof, remark = self._proof(converted, program)
        made_of = f"{type(self.network).__module__}.{type(self.network).__qualname__}"
        how = written(kind, self.weights, instead_of)
        return Program(
            name=self.name,
            source=NETWORK,
            family=NETWORK,
            kind=kind,
            spec=orjson.dumps({"name": self.name, "converter": how}).decode(),
            seed=0,
            text=converted.text,
            arguments=converted.arguments,
            results=converted.results,
            outline=outline,
            proof=proof,
            provenance=orjson.dumps({"model": self.name, "class": made_of}).decode(),
            remark=remark,
        )

    def _converted(self, kind: str, program: IsolatedProgram | None) -> Converted:
        def lower(text: str, first: int, constants: Mapping[int, Any]) -> Linalg:
            assert program is not None
            self.line.enter("converting")
            return program.lower_torch(text, first, constants)

        self.line.enter("exporting" if kind == FIRST else "converting")
        constant = self.weights != "arguments"
        return convert(self.network, self.inputs, self.name, kind, constant, lower)

    def _proof(self, converted: Converted, program: IsolatedProgram) -> tuple[Proof, str]:
        """Check a verified network as far as is asked for; return what is proven, and what the person is told."""
        if self.check == "parse":
            return Proof(self.check, None, None, ()), ""
        expected = None
        if self.check == "execute":
            # First: what PyTorch refuses is not the program's fault.
            self.line.enter("running in PyTorch")
            expected = expected_results(self.network, self.inputs, self.name, converted)
        self.line.enter("lowering")
        program.lower()
        if expected is None:
            return Proof(self.check, None, None, ()), ""
        self.line.enter("compiling and running")
        answers = [program.run(case.arguments, result_types(converted)) for case in expected.cases]
        verdict = judge(answers, converted.results, expected)
        return verdict.proof(), verdict.warning(self.name) if verdict.unshown else ""
