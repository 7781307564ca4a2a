module {
  func.func @conv_1d_nwc_wcf(%image: tensor<3x11x3xf32>, %filter: tensor<2x3x4xf32>) -> tensor<3x8x4xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x8x4xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x8x4xf32>) -> tensor<3x8x4xf32>
    %3 = linalg.conv_1d_nwc_wcf {dilations = dense<3> : tensor<1xi64>, strides = dense<1> : tensor<1xi64>} ins(%image, %filter : tensor<3x11x3xf32>, tensor<2x3x4xf32>) outs(%2 : tensor<3x8x4xf32>) -> tensor<3x8x4xf32>
    return %3 : tensor<3x8x4xf32>
  }
}
