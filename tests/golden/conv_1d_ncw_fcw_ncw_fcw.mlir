module {
  func.func @conv_1d_ncw_fcw(%image: tensor<3x3x11xf32>, %filter: tensor<4x3x2xf32>) -> tensor<3x4x8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x4x8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    %3 = linalg.conv_1d_ncw_fcw {dilations = dense<3> : tensor<1xi64>, strides = dense<1> : tensor<1xi64>} ins(%image, %filter : tensor<3x3x11xf32>, tensor<4x3x2xf32>) outs(%2 : tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %3 : tensor<3x4x8xf32>
  }
}
