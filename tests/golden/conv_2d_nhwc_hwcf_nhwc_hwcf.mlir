module {
  func.func @conv_2d_nhwc_hwcf(%image: tensor<3x9x11x3xf32>, %filter: tensor<3x2x3x4xf32>) -> tensor<3x4x8x4xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x4x8x4xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x4x8x4xf32>) -> tensor<3x4x8x4xf32>
    %3 = linalg.conv_2d_nhwc_hwcf {dilations = dense<[1, 3]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %filter : tensor<3x9x11x3xf32>, tensor<3x2x3x4xf32>) outs(%2 : tensor<3x4x8x4xf32>) -> tensor<3x4x8x4xf32>
    return %3 : tensor<3x4x8x4xf32>
  }
}
