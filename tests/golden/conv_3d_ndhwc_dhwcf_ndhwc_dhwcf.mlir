module {
  func.func @conv_3d_ndhwc_dhwcf(%image: tensor<3x8x9x11x3xf32>, %filter: tensor<2x3x2x3x4xf32>) -> tensor<3x6x4x8x4xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x6x4x8x4xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x6x4x8x4xf32>) -> tensor<3x6x4x8x4xf32>
    %3 = linalg.conv_3d_ndhwc_dhwcf {dilations = dense<[2, 1, 3]> : tensor<3xi64>, strides = dense<[1, 2, 1]> : tensor<3xi64>} ins(%image, %filter : tensor<3x8x9x11x3xf32>, tensor<2x3x2x3x4xf32>) outs(%2 : tensor<3x6x4x8x4xf32>) -> tensor<3x6x4x8x4xf32>
    return %3 : tensor<3x6x4x8x4xf32>
  }
}
