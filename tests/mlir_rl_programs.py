"""Programs in the form that MLIR-RL reads, and some that only look so, written without the exporter."""

from __future__ import annotations

# Written by hand after a program of MLIR-RL's own set, not by the exporter.
MATMUL = """module {
  func.func private @nanoTime() -> i64 attributes {llvm.emit_c_interface}
  func.func @main(%arg0: tensor<8x4xf32>, %arg1: tensor<4x16xf32>, %arg2: tensor<8x16xf32>) -> (tensor<8x16xf32>, i64) attributes {llvm.emit_c_interface} {
    %0 = call @nanoTime() : () -> i64
    %1 = linalg.matmul {tag = "operation_0"} ins(%arg0, %arg1 : tensor<8x4xf32>, tensor<4x16xf32>) outs(%arg2 : tensor<8x16xf32>) -> tensor<8x16xf32>
    %2 = call @nanoTime() : () -> i64
    %3 = arith.subi %2, %0 : i64
    return %1, %3 : tensor<8x16xf32>, i64
  }
}
"""  # noqa: E501
NAME = "matmul_8_4_16"


def timed(arguments, operations, results):
    """Return a program: `arguments` as a signature has them, `results` a list of (value, type)."""
    values = ", ".join([value for value, _ in results] + ["%time"])
    types = ", ".join([type_ for _, type_ in results] + ["i64"])
    return f"""
func.func private @nanoTime() -> i64 attributes {{llvm.emit_c_interface}}
func.func @main({arguments}) -> ({types}) attributes {{llvm.emit_c_interface}} {{
  %begin = call @nanoTime() : () -> i64
  {operations}
  %end = call @nanoTime() : () -> i64
  %time = arith.subi %end, %begin : i64
  return {values} : {types}
}}
"""


def unary(type_, name="exp"):
    """Return an elementwise operation on one tensor type."""
    operation = f'%r = linalg.{name} {{tag = "operation_0"}} ins(%a : {type_}) outs(%b : {type_}) -> {type_}'
    return timed(f"%a: {type_}, %b: {type_}", operation, [("%r", type_)])


def copy(rank):
    """Return the copy of a tensor of a rank."""
    return unary(f"tensor<{'1x' * rank}f32>", "copy")


def contraction(reduced):
    """Return a generic with one parallel loop and so many reductions, on tensors of rank 1."""
    dims = [f"d{axis}" for axis in range(reduced + 1)]
    maps = [f"affine_map<({', '.join(dims)}) -> ({dim})>" for dim in (*dims[1:], dims[0])]
    inputs = ", ".join(f"%a{axis}" for axis in range(reduced))
    types = ", ".join(["tensor<4xf32>"] * reduced)
    arguments = ", ".join(f"%a{axis}: tensor<4xf32>" for axis in range(reduced + 1))
    scalars = ", ".join(f"%s{axis}: f32" for axis in range(reduced + 1))
    iterators = ", ".join(['"parallel"', *['"reduction"'] * reduced])
    operation = f"""%r = linalg.generic {{indexing_maps = [{", ".join(maps)}], iterator_types = [{iterators}],
      tag = "operation_0"}} ins({inputs} : {types}) outs(%a{reduced} : tensor<4xf32>) {{
    ^bb0({scalars}):
      %sum = arith.addf %s0, %s{reduced} : f32
      linalg.yield %sum : f32
    }} -> tensor<4xf32>"""
    return timed(arguments, operation, [("%r", "tensor<4xf32>")])


def convolution(name, image, filters, result, dilation=1):
    types = [f"tensor<{shape}xf32>" for shape in (image, filters, result)]
    attributes = (
        f'dilations = dense<{dilation}> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>, tag = "operation_0"'
    )
    operation = (
        f"%r = linalg.{name} {{{attributes}}} ins(%a, %b : {types[0]}, {types[1]}) outs(%c : {types[2]}) -> {types[2]}"
    )
    return timed(f"%a: {types[0]}, %b: {types[1]}, %c: {types[2]}", operation, [("%r", types[2])])


SOFTMAX = timed(
    "%a: tensor<4x8xf32>, %b: tensor<4x8xf32>",
    "%r = linalg.softmax dimension(1) ins(%a : tensor<4x8xf32>) outs(%b : tensor<4x8xf32>) -> tensor<4x8xf32>",
    [("%r", "tensor<4x8xf32>")],
)
SOFTMAX_FUNCTION = "func.func private @softmax(tensor<4xf32>) -> tensor<4xf32>" + unary("tensor<4xf32>").replace(
    "  %end", "  %s = call @softmax(%r) : (tensor<4xf32>) -> tensor<4xf32>\n  %end"
).replace("return %r", "return %s")
