module {
  func.func @pooling_nwc_min_unsigned(%image: tensor<3x11x3xi32>) -> tensor<3x8x3xi32> {
    %0 = tensor.empty() : tensor<2xi32>
    %1 = arith.constant -1 : i32
    %2 = tensor.empty() : tensor<3x8x3xi32>
    %3 = linalg.fill ins(%1 : i32) outs(%2 : tensor<3x8x3xi32>) -> tensor<3x8x3xi32>
    %4 = linalg.pooling_nwc_min_unsigned {dilations = dense<3> : tensor<1xi64>, strides = dense<1> : tensor<1xi64>} ins(%image, %0 : tensor<3x11x3xi32>, tensor<2xi32>) outs(%3 : tensor<3x8x3xi32>) -> tensor<3x8x3xi32>
    return %4 : tensor<3x8x3xi32>
  }
}
