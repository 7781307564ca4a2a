module {
  func.func @conv2d(%image: tensor<2x3x28x32xf32>, %filter: tensor<16x3x3x5xf32>) -> tensor<2x16x13x24xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<2x16x13x24xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<2x16x13x24xf32>) -> tensor<2x16x13x24xf32>
    %3 = linalg.conv_2d_nchw_fchw {dilations = dense<[1, 2]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %filter : tensor<2x3x28x32xf32>, tensor<16x3x3x5xf32>) outs(%2 : tensor<2x16x13x24xf32>) -> tensor<2x16x13x24xf32>
    return %3 : tensor<2x16x13x24xf32>
  }
}
