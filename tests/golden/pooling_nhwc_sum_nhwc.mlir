module {
  func.func @pooling_nhwc_sum(%image: tensor<3x9x11x3xf32>) -> tensor<3x4x8x3xf32> {
    %0 = tensor.empty() : tensor<3x2xf32>
    %1 = arith.constant 0.0 : f32
    %2 = tensor.empty() : tensor<3x4x8x3xf32>
    %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<3x4x8x3xf32>) -> tensor<3x4x8x3xf32>
    %4 = linalg.pooling_nhwc_sum {dilations = dense<[1, 3]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %0 : tensor<3x9x11x3xf32>, tensor<3x2xf32>) outs(%3 : tensor<3x4x8x3xf32>) -> tensor<3x4x8x3xf32>
    return %4 : tensor<3x4x8x3xf32>
  }
}
