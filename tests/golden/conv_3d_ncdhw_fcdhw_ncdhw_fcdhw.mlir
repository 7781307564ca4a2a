module {
  func.func @conv_3d_ncdhw_fcdhw(%image: tensor<3x3x8x9x11xf32>, %filter: tensor<4x3x2x3x2xf32>) -> tensor<3x4x6x4x8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x4x6x4x8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x4x6x4x8xf32>) -> tensor<3x4x6x4x8xf32>
    %3 = linalg.conv_3d_ncdhw_fcdhw {dilations = dense<[2, 1, 3]> : tensor<3xi64>, strides = dense<[1, 2, 1]> : tensor<3xi64>} ins(%image, %filter : tensor<3x3x8x9x11xf32>, tensor<4x3x2x3x2xf32>) outs(%2 : tensor<3x4x6x4x8xf32>) -> tensor<3x4x6x4x8xf32>
    return %3 : tensor<3x4x6x4x8xf32>
  }
}
