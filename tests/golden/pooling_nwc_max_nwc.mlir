module {
  func.func @pooling_nwc_max(%image: tensor<3x11x3xf32>) -> tensor<3x8x3xf32> {
    %0 = tensor.empty() : tensor<2xf32>
    %1 = arith.constant 0xFF800000 : f32
    %2 = tensor.empty() : tensor<3x8x3xf32>
    %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<3x8x3xf32>) -> tensor<3x8x3xf32>
    %4 = linalg.pooling_nwc_max {dilations = dense<3> : tensor<1xi64>, strides = dense<1> : tensor<1xi64>} ins(%image, %0 : tensor<3x11x3xf32>, tensor<2xf32>) outs(%3 : tensor<3x8x3xf32>) -> tensor<3x8x3xf32>
    return %4 : tensor<3x8x3xf32>
  }
}
