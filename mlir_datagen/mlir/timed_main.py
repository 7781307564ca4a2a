"""A stored program as one function `@main` that times itself, in the form that MLIR-RL reads.

The program's function keeps its operations, and becomes

    func.func private @nanoTime() -> i64 attributes {llvm.emit_c_interface}
    func.func @main(arguments) -> (results, i64) attributes {llvm.emit_c_interface} {
      read the clock
      the operations
      read the clock
      return results, elapsed nanoseconds
    }

The calls stay around the operations: no pass moves what the operations become over a call of an unknown function.

In a single-op program (see `single_operation`) the inits become arguments of `@main`, and what filled them goes, so
that only the operation is timed. The initial value is the caller's then. In any other program everything stays, fills
included, and is timed. As a program to be measured, such a single operation writes into memrefs: a result that is
returned would be copied.

What MLIR-RL does not take is rewritten before, as far as it can be (see `mlir_rl_form`).

A linalg operation that is the only one then has `tag = "operation_0"`, whatever else is beside it.
"""

from __future__ import annotations

from typing import NamedTuple

from torch_mlir import ir
from torch_mlir.dialects import arith, func

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.facts import ModuleFacts, module_facts, walk
from mlir_datagen.mlir.linalg_operation import is_structured
from mlir_datagen.mlir.mlir_rl_form import rewrite
from mlir_datagen.mlir.parse import Contexts, first_diagnostic
from mlir_datagen.mlir.single_op_program import filled_bytes, give_arguments, single_operation, write_in_place

CLOCK = "nanoTime"
MAIN = "main"
TAG = "operation_0"


class TimedProgram(NamedTuple):
    """A program in its timed form.

    Attributes:
        text: the module, in a form that MLIR 19 parses.
        facts: what it consists of.
        is_single: whether it is a single-op program, with its init as an argument.
        rewritten: what was rewritten of the operations, in words; nothing where they are as they were.
        operations: the program as it was given, but for what was rewritten.
        initial_bytes: the size of the initial values that it fills in, and that the clock does not see.
        measurable: what the clock goes around, as a program of its own.
    """

    text: str
    facts: ModuleFacts
    is_single: bool
    rewritten: tuple[str, ...]
    operations: str
    initial_bytes: int
    measurable: str


class Timer:
    """Gives programs their timed form. One per process is enough."""

    def __init__(self) -> None:
        self._contexts = Contexts()

    def timed(self, text: str) -> TimedProgram:
        """Return the timed form of a program.

        Args:
            text: a module with one function on tensors.

        Raises:
            Rejection: at stage `exported`, when it is not such a module.
        """
        context = self._contexts.next()
        try:
            module = ir.Module.parse(text, context)
        except ir.MLIRError as error:
            raise Rejection("exported", first_diagnostic(error)) from error
        function = _only_function(module)
        with context, ir.Location.unknown():
            rewritten = rewrite(function)
            operations = module.operation.get_asm() if rewritten else text
            operation = single_operation(function.regions[0].blocks[0])
            initial_bytes = 0 if operation is None else filled_bytes(operation)
            measurable = _written_in_place(operations, context) if initial_bytes else operations
            if operation is not None:
                give_arguments(function.regions[0].blocks[0], operation)
            _tag(function)
            _time(module, function)
        if not module.operation.verify():
            raise Rejection("exported", "its timed form does not pass MLIR's verifier")
        facts, is_single = module_facts(module, CLOCK, MAIN), operation is not None
        text = module.operation.get_asm()
        return TimedProgram(text, facts, is_single, rewritten, operations, initial_bytes, measurable)


def _written_in_place(text: str, context: ir.Context) -> str:
    module = ir.Module.parse(text, context)
    write_in_place(_only_function(module))
    return str(module)


def _only_function(module: ir.Module) -> ir.Operation:
    operations = [operation.operation for operation in module.body.operations]
    if [operation.name for operation in operations] != ["func.func"]:
        raise Rejection("exported", "its module is not one function")
    (function,) = operations
    if len(function.regions[0].blocks) != 1:
        raise Rejection("exported", "its function is not one block of operations")
    return function


def _tag(function: ir.Operation) -> None:
    structured = [operation for operation in walk(function) if is_structured(operation)]
    if len(structured) == 1:
        structured[0].attributes["tag"] = ir.StringAttr.get(TAG)


def _time(module: ir.Module, function: ir.Operation) -> None:
    """Turn a function into `@main`."""
    block = function.regions[0].blocks[0]
    integer = ir.IntegerType.get_signless(64)
    with ir.InsertionPoint.at_block_begin(module.body):
        clock = func.FuncOp(CLOCK, ([], [integer]), visibility="private")
        clock.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
    with ir.InsertionPoint.at_block_begin(block):
        begin = func.CallOp(clock, []).results[0]
    terminator = block.operations[len(block.operations) - 1].operation
    returned = list(terminator.operands)
    with ir.InsertionPoint(terminator):
        end = func.CallOp(clock, []).results[0]
        elapsed = arith.SubIOp(end, begin).result
        func.ReturnOp([*returned, elapsed])
    terminator.erase()
    for name in [named if isinstance(named, str) else named.name for named in function.attributes]:
        if name not in ("sym_name", "function_type"):
            del function.attributes[name]
    types = [argument.type for argument in block.arguments], [*(value.type for value in returned), integer]
    function.attributes["sym_name"] = ir.StringAttr.get(MAIN)
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types))
    function.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
