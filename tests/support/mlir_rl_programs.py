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


def row_sums(index="0", alone=False):
    """Return the sums of the rows of a matrix, written at a constant column, and (unless alone) a copy of them."""
    type_ = "tensor<4x8xf32>" if index != "0" else "tensor<4x1xf32>"
    copied = f"\n  %s = linalg.copy ins(%r : {type_}) outs(%c : {type_}) -> {type_}"
    operation = f"""%r = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
      affine_map<(d0, d1) -> (d0, {index})>], iterator_types = ["parallel", "reduction"], tag = "operation_0"}}
      ins(%a : tensor<4x8xf32>) outs(%b : {type_}) {{
    ^bb0(%in: f32, %out: f32):
      %sum = arith.addf %in, %out : f32
      linalg.yield %sum : f32
    }} -> {type_}{"" if alone else copied}"""
    return timed(f"%a: tensor<4x8xf32>, %b: {type_}, %c: {type_}", operation, [("%r" if alone else "%s", type_)])


SOFTMAX = timed(
    "%a: tensor<4x8xf32>, %b: tensor<4x8xf32>",
    "%r = linalg.softmax dimension(1) ins(%a : tensor<4x8xf32>) outs(%b : tensor<4x8xf32>) -> tensor<4x8xf32>",
    [("%r", "tensor<4x8xf32>")],
)
SOFTMAX_FUNCTION = "func.func private @softmax(tensor<4xf32>) -> tensor<4xf32>" + unary("tensor<4xf32>").replace(
    "  %end", "  %s = call @softmax(%r) : (tensor<4xf32>) -> tensor<4xf32>\n  %end"
).replace("return %r", "return %s")

# An operation that later versions of MLIR have no more.
TRANSPOSED = (
    MATMUL.replace("linalg.matmul", "linalg.matmul_transpose_b")
    .replace("%arg1: tensor<4x16xf32>", "%arg1: tensor<16x4xf32>")
    .replace("tensor<4x16xf32>)", "tensor<16x4xf32>)")
)

CALL = "%0 = call @nanoTime() : () -> i64\n"
INTERFACE = " attributes {llvm.emit_c_interface}"
RESULT = "(tensor<8x16xf32>, i64)"
BODY = MATMUL[MATMUL.index("    %0 =") : MATMUL.rindex("  }")]
DYNAMIC = timed(
    "%a: tensor<4xf32>",
    "%d = tensor.cast %a : tensor<4xf32> to tensor<?xf32>\n"
    "  %e = linalg.exp ins(%d : tensor<?xf32>) outs(%d : tensor<?xf32>) -> tensor<?xf32>\n"
    "  %r = tensor.cast %e : tensor<?xf32> to tensor<4xf32>",
    [("%r", "tensor<4xf32>")],
)
UNCALLED = timed("%a: tensor<4xf32>", "", [("%a", "tensor<4xf32>")]) + (
    "func.func @never(%a: tensor<4xf32>) -> tensor<4xf32> {\n"
    "  %r = linalg.exp ins(%a : tensor<4xf32>) outs(%a : tensor<4xf32>) -> tensor<4xf32>\n"
    "  return %r : tensor<4xf32>\n}\n"
)

# What is said of each, or a part of it.
BROKEN_PROGRAMS = {
    "": "it does not declare the clock",
    "this is no MLIR": 'MLIR cannot parse it: loc("-":1:1): custom op \'this\' is unknown',
    MATMUL[:300]: "MLIR cannot parse it",
    MATMUL.replace("linalg.matmul", "linalg.matmull"): "MLIR cannot parse it",
    MATMUL.replace("%1, %3 :", "%9, %3 :"): "use of undeclared SSA value name",
    MATMUL.replace("-> i64" + INTERFACE, "-> i64"): "its @nanoTime has not the attribute llvm.emit_c_interface",
    MATMUL.replace("nanoTime", "time"): "it does not declare the clock, func.func private @nanoTime() -> i64",
    MATMUL.replace("-> i64" + INTERFACE, INTERFACE + " {\n  return\n  }")
    .replace(CALL, "%0 = arith.constant 0 : i64\n")
    .replace("%2 = call @nanoTime() : () -> i64", "%2 = arith.constant 0 : i64"): "its @nanoTime is not a function",
    MATMUL.replace(RESULT + INTERFACE, RESULT): "@main has not the attribute llvm.emit_c_interface",
    MATMUL.replace("@main", "@matmul"): "it has no function @main",
    MATMUL.replace("@main(", "@main(%s: f32, "): "argument 0 of @main is of type f32, and not a ranked tensor",
    MATMUL.replace("@main(", "@main(%s: tensor<*xf32>, "): "argument 0 of @main is of type tensor<*xf32>, and not a ra",
    MATMUL.replace("@main(", "@main(%s: memref<4xf32>, "): "argument 0 of @main is of type memref<4xf32>, and not a",
    MATMUL.replace("@main(", "@main(%s: tensor<?x4xf32>, "): "is of type tensor<?x4xf32>, whose shape is not static",
    MATMUL.replace("@main(", "@main(%s: tensor<4xi8>, "): "is of type tensor<4xi8>, whose elements are not of the",
    MATMUL.replace("@main(", "@main(%s: tensor<4xi1>, "): "is of type tensor<4xi1>, whose elements are not of the",
    unary("tensor<4xf16>"): "argument 0 of @main is of type tensor<4xf16>, whose elements are not of the types f32",
    unary("tensor<4xbf16>"): "result 0 of @main is of type tensor<4xbf16>, whose elements are not of the types f32",
    MATMUL.replace(RESULT, "i64").replace(
        "%1, %3 : tensor<8x16xf32>, i64", "%3 : i64"
    ): "@main returns no tensor beside the elapsed time, so that 0 is measured",
    MATMUL.replace(RESULT, "(i64, tensor<8x16xf32>)").replace(
        "%1, %3 : tensor<8x16xf32>, i64", "%3, %1 : i64, tensor<8x16xf32>"
    ): "the last result of @main is not the elapsed time, an i64",
    MATMUL.replace(RESULT, "tensor<8x16xf32>").replace(
        "%1, %3 : tensor<8x16xf32>, i64", "%1 : tensor<8x16xf32>"
    ): "the last result of @main is not the elapsed time, an i64",
    MATMUL.replace(CALL, "%0 = arith.constant 0 : i64\n"): "it reads the clock (@nanoTime) 1 times",
    MATMUL.replace(CALL, "").replace("    %2 = call", "    " + CALL + "    %2 = call"): (
        "a linalg operation is not between the two readings of the clock"
    ),
    MATMUL.replace("arith.subi %2, %0", "arith.subi %0, %2"): "not the second reading of the clock less the first",
    MATMUL.replace("arith.subi %2, %0", "arith.addi %2, %0"): "not the difference of the two readings of the clock",
    MATMUL.replace("module {", "module {\n  func.func private @helper()"): "the function @helper has no body",
    MATMUL.replace("module {", 'module {\n  func.func private @"a\\0Ab"()'): r"the function @a\nb has no body",
    MATMUL.replace(BODY, BODY.replace("    %2 = call", '    "foreign.op"() : () -> ()\n    %2 = call')): (
        "it uses the dialect foreign, which is not one of"
    ),
    MATMUL.replace("    %2 =", "    %c = arith.constant dense_resource<__elided__> : tensor<4xf32>\n    %2 ="): (
        "it has an elided resource"
    ),
    timed("%a: tensor<4xf32>", "", [("%a", "tensor<4xf32>")]): "it has no linalg operation",
    copy(0): "linalg.copy has 0 loops; it must have 1 to 7",
    copy(8): "linalg.copy has 8 loops; it must have 1 to 7",
    contraction(7): "linalg.generic has 8 loops; it must have 1 to 7",
    SOFTMAX: "linalg.softmax has no loops of its own",
    SOFTMAX_FUNCTION: "the function @softmax has no body",
    convolution("conv_2d_nchw_fchw", "1x2x8x8", "4x2x3x3", "1x4x4x4", dilation=2): "has the dilation [2, 2]; a con",
    convolution("conv_2d_ngchw_fgchw", "1x2x2x8x8", "4x2x2x3x3", "1x2x4x6x6"): "is a convolution that MLIR-RL's im2col",
    convolution("depthwise_conv_2d_nchw_chw", "1x2x8x8", "2x3x3", "1x2x6x6"): "is a convolution that MLIR-RL's im2col",
    row_sums(): 'linalg.generic writes a result at (d0, 0), and the fusion step takes only a loop',
    row_sums("3"): 'linalg.generic writes a result at (d0, 3), and the fusion step takes only a loop',
    MATMUL.replace("@main(", "@main(%s: tensor<4xcomplex<f32>>, "): "is of type tensor<4xcomplex<f32>>, whose elements",
    MATMUL.replace("@main(", "@main(%s: tensor<4xf8E4M3FN>, "): "is of type tensor<4xf8E4M3FN>, whose elements are not",
    MATMUL.replace("@main(", "@main(%s: tensor<4xvector<2xf32>>, "): "is of type tensor<4xvector<2xf32>>, whose elem",
    unary("tensor<536870912xcomplex<f32>>", "copy"): "the arguments of @main take 8589934592 bytes together",
    DYNAMIC: "its linalg.exp makes a tensor<?xf32>, whose shape is not static",
    DYNAMIC.replace("linalg.exp", "linalg.log"): "its tensor.cast makes a tensor<?xf32>, whose shape is not static",
    UNCALLED: "it has no linalg operation of its own between the two readings of the clock",
    unary("tensor<1073741824xf32>"): "the arguments of @main take 8589934592 bytes together, and must take less than",
}  # fmt: skip
