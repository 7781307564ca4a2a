module {
  func.func @pooling_nhwc_max_unsigned(%image: tensor<3x9x11x3xi32>) -> tensor<3x4x8x3xi32> {
    %0 = tensor.empty() : tensor<3x2xi32>
    %1 = arith.constant 0 : i32
    %2 = tensor.empty() : tensor<3x4x8x3xi32>
    %3 = linalg.fill ins(%1 : i32) outs(%2 : tensor<3x4x8x3xi32>) -> tensor<3x4x8x3xi32>
    %4 = linalg.pooling_nhwc_max_unsigned {dilations = dense<[1, 3]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %0 : tensor<3x9x11x3xi32>, tensor<3x2xi32>) outs(%3 : tensor<3x4x8x3xi32>) -> tensor<3x4x8x3xi32>
    return %4 : tensor<3x4x8x3xi32>
  }
}
