module {
  func.func @pooling_ndhwc_max(%image: tensor<3x8x9x11x3xf32>) -> tensor<3x6x4x8x3xf32> {
    %0 = tensor.empty() : tensor<2x3x2xf32>
    %1 = arith.constant 0xFF800000 : f32
    %2 = tensor.empty() : tensor<3x6x4x8x3xf32>
    %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<3x6x4x8x3xf32>) -> tensor<3x6x4x8x3xf32>
    %4 = linalg.pooling_ndhwc_max {dilations = dense<[2, 1, 3]> : tensor<3xi64>, strides = dense<[1, 2, 1]> : tensor<3xi64>} ins(%image, %0 : tensor<3x8x9x11x3xf32>, tensor<2x3x2xf32>) outs(%3 : tensor<3x6x4x8x3xf32>) -> tensor<3x6x4x8x3xf32>
    return %4 : tensor<3x6x4x8x3xf32>
  }
}
