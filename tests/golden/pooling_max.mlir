module {
  func.func @pooling(%image: tensor<2x3x28x32xf32>) -> tensor<2x3x13x24xf32> {
    %0 = tensor.empty() : tensor<3x5xf32>
    %1 = arith.constant 0xFF800000 : f32
    %2 = tensor.empty() : tensor<2x3x13x24xf32>
    %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<2x3x13x24xf32>) -> tensor<2x3x13x24xf32>
    %4 = linalg.pooling_nchw_max {dilations = dense<[1, 2]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %0 : tensor<2x3x28x32xf32>, tensor<3x5xf32>) outs(%3 : tensor<2x3x13x24xf32>) -> tensor<2x3x13x24xf32>
    return %4 : tensor<2x3x13x24xf32>
  }
}
