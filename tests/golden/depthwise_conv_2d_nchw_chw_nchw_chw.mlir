module {
  func.func @depthwise_conv_2d_nchw_chw(%image: tensor<3x3x9x11xf32>, %filter: tensor<3x3x2xf32>) -> tensor<3x3x4x8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x3x4x8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x3x4x8xf32>) -> tensor<3x3x4x8xf32>
    %3 = linalg.depthwise_conv_2d_nchw_chw {dilations = dense<[1, 3]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %filter : tensor<3x3x9x11xf32>, tensor<3x3x2xf32>) outs(%2 : tensor<3x3x4x8xf32>) -> tensor<3x3x4x8xf32>
    return %3 : tensor<3x3x4x8xf32>
  }
}
