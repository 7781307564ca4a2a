"""What MLIR-RL reads of a program, as rules on a module's facts; the exporter and the checker use the same ones.

MLIR-RL (arXiv 2409.11068) is an agent that learns to transform linalg programs. The rules are what its loaders, its
observation encoder and its execution rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlir_datagen.errors import listed
from mlir_datagen.mlir.facts import FunctionFacts, LinalgFacts, ModuleFacts, TypeFacts
from mlir_datagen.mlir.timed_main import CLOCK, MAIN, TAG

MAX_LOOPS = 7
MAX_RANK = 7
MAX_ARGUMENT_BYTES = 8 << 30
ELEMENTS = ("f32", "f64", "i32", "i64")
"""Element types of arguments and results."""

DIALECTS = frozenset(
    {
        "affine", "arith", "bufferization", "builtin", "cf", "complex", "func", "index", "linalg", "math", "memref",
        "scf", "tensor", "ub", "vector",
    }
)  # fmt: skip
"""The dialects of upstream MLIR that are lowered before a program runs."""

CONVOLUTIONS = (
    "linalg.conv_2d_nchw_fchw",
    "linalg.conv_2d_nhwc_hwcf",
    "linalg.conv_2d_nhwc_fhwc",
    "linalg.depthwise_conv_2d_nhwc_hwc",
)
"""The two-dimensional convolutions that the im2col step knows."""

NAME = re.compile(r"[A-Za-z0-9_]+")
"""The form of a program's name: it reaches a shell unquoted."""

LONGEST_NS = 60 * 10**9
"""A program runs five times within the 300 s after which a batch of work times out."""

USUAL_NS = (10_000, 10**9)
"""Outside this range a time is all noise, or makes training slow; what is asked for, but nothing breaks."""

NOTHING_TO_TILE = "none of its loops can be tiled: a tile is 2, 4, 8, 16, 32 or 64 and divides the bound"
"""What is said of a program of which `can_be_tiled` is false: it works, and teaches little."""

_NEWER_THAN_MLIR_19 = {"linalg.contract", "linalg.elementwise", "linalg.pack", "linalg.unpack"}
_CONTRACTION_MAPS = {
    "linalg.matmul": ("(d0, d1, d2) -> (d0, d2)", "(d0, d1, d2) -> (d2, d1)", "(d0, d1, d2) -> (d0, d1)"),
    "linalg.batch_matmul": (
        "(d0, d1, d2, d3) -> (d0, d1, d3)",
        "(d0, d1, d2, d3) -> (d0, d3, d2)",
        "(d0, d1, d2, d3) -> (d0, d1, d2)",
    ),
}


def program_problems(facts: ModuleFacts) -> list[str]:
    """Say what MLIR-RL could not read of a program in its timed form; nothing when it can."""
    return [
        *_clock_problems(facts),
        *_function_problems(facts),
        *_content_problems(facts),
        *_operation_problems(facts),
    ]


def tag_problem(facts: ModuleFacts) -> str | None:
    """Say that the operation of a single-op program lacks the tag by which the `llm_action` variant finds it."""
    if len(facts.linalg) != 1 or facts.linalg[0].tag == TAG:
        return None
    return f'its only linalg operation, {facts.linalg[0].name}, has not the attribute tag = "{TAG}"'


def can_be_tiled(facts: ModuleFacts) -> bool:
    """Tell whether there is a loop to tile, or may be one: the tiles are powers of two that divide the bound."""
    is_known = all(len(operation.bounds) == operation.loops for operation in facts.linalg)
    return not (facts.linalg and is_known) or any(
        bound % 2 == 0 for operation in facts.linalg for bound in operation.bounds
    )


def time_problem(nanoseconds: float) -> str | None:
    """Say why a measured time cannot be a root time."""
    if not nanoseconds > 0:
        return f"its time, {nanoseconds} ns, is not positive, and MLIR-RL takes its logarithm"
    if nanoseconds > LONGEST_NS:
        return f"its time, {int(nanoseconds // 10**9)} s, is over {LONGEST_NS // 10**9} s, so that five runs time out"
    return None


def _clock_problems(facts: ModuleFacts) -> Iterator[str]:
    clock = facts.function(CLOCK)
    if clock is None:
        yield f"it does not declare the clock, func.func private @{CLOCK}() -> i64"
        return
    if clock.has_body or clock.arguments or [result.text for result in clock.results] != ["i64"]:
        yield f"its @{CLOCK} is not a function without body, without arguments and with one i64 as its result"
    if not clock.has_c_interface:
        yield f"its @{CLOCK} has not the attribute llvm.emit_c_interface"


def _function_problems(facts: ModuleFacts) -> Iterator[str]:
    for function in facts.functions:
        if not function.has_body and function.name != CLOCK:
            yield f"the function @{function.name} has no body"
    main = facts.function(MAIN)
    if main is None:
        yield f"it has no function @{MAIN}"
        return
    if not main.has_c_interface:
        yield f"@{MAIN} has not the attribute llvm.emit_c_interface"
    yield from _argument_problems(main)
    yield from _result_problems(main)
    if facts.clock_problem is not None:
        yield f"@{MAIN} is not timed: {facts.clock_problem}"


def _argument_problems(main: FunctionFacts) -> Iterator[str]:
    for place, argument in enumerate(main.arguments):
        yield from (f"argument {place} of @{MAIN} {problem}" for problem in _tensor_problems(argument))
    total = sum(argument.bytes for argument in main.arguments if argument.is_static)
    if total >= MAX_ARGUMENT_BYTES:
        yield f"the arguments of @{MAIN} take {total} bytes together, and must take less than {MAX_ARGUMENT_BYTES}"


def _result_problems(main: FunctionFacts) -> Iterator[str]:
    if not main.results or main.results[-1].text != "i64":
        yield f"the last result of @{MAIN} is not the elapsed time, an i64"
        return
    if len(main.results) == 1:
        yield f"@{MAIN} returns no tensor beside the elapsed time, so that 0 is measured"
    for place, result in enumerate(main.results[:-1]):
        yield from (f"result {place} of @{MAIN} {problem}" for problem in _tensor_problems(result))


def _tensor_problems(type_: TypeFacts) -> Iterator[str]:
    if type_.shape is None:
        yield f"is of type {type_.text}, and not a ranked tensor"
        return
    if not type_.is_static:
        yield f"is of type {type_.text}, whose shape is not static"
    if type_.element not in ELEMENTS:
        yield f"is of type {type_.text}, whose elements are not of the types {listed(ELEMENTS)}"


def _content_problems(facts: ModuleFacts) -> Iterator[str]:
    for dialect in sorted(facts.dialects - DIALECTS):
        yield f"it uses the dialect {dialect}, which is not one of {listed(sorted(DIALECTS))}"
    for name, type_ in facts.dynamic:
        yield f"its {name} makes a {type_}, whose shape is not static"
    if facts.has_elided_resource:
        yield "it has an elided resource: the contents of a constant are not in the file"


def _operation_problems(facts: ModuleFacts) -> Iterator[str]:
    if not facts.linalg:
        yield "it has no linalg operation"
    for operation in facts.linalg:
        for problem in _linalg_problems(operation):
            yield f"{operation.name} {problem}"
        # Where there is no other operation, there is none to fuse it with.
        if len(facts.linalg) > 1:
            yield from (f"{operation.name} {problem}" for problem in _fusion_problems(operation))


def _fusion_problems(operation: LinalgFacts) -> Iterator[str]:
    for map_ in operation.maps[len(operation.maps) - operation.inits :]:
        indices = map_.partition(" -> ")[2].strip("()")
        if not all(re.fullmatch(r"d\d+", index) for index in indices.split(", ") if index):
            yield (
                f"writes a result at ({indices}), and the fusion step takes only a loop for each of its dimensions: it "
                'raises "Unsupported producer store"'
            )


def _linalg_problems(operation: LinalgFacts) -> Iterator[str]:
    if operation.name in _NEWER_THAN_MLIR_19:
        yield "is not an operation of MLIR 19"
    elif operation.loops is None:
        yield f"has no loops of its own; it must have 1 to {MAX_LOOPS}"
    elif not 1 <= operation.loops <= MAX_LOOPS:
        yield f"has {operation.loops} loops; it must have 1 to {MAX_LOOPS}"
    rank = max(map(len, operation.operands), default=0)
    if rank > MAX_RANK:
        yield f"has an operand of rank {rank}; it may be {MAX_RANK} at most"
    if operation.maps != _CONTRACTION_MAPS.get(operation.name, operation.maps):
        yield "has indexing maps of its own, which MLIR 19 does not know"
    if "conv_2d" in operation.name:
        if operation.name not in CONVOLUTIONS:
            yield f"is a convolution that MLIR-RL's im2col step does not know; it knows {listed(CONVOLUTIONS)}"
        if any(dilation != 1 for dilation in operation.dilations):
            yield f"has the dilation {list(operation.dilations)}; a convolution must have 1"
