module {
  func.func @elementwise(%lhs: tensor<2x7x5x3xi32>, %rhs: tensor<2x7x5x3xi32>) -> tensor<2x7x5x3xi32> {
    %0 = tensor.empty() : tensor<2x7x5x3xi32>
    %1 = linalg.div_unsigned ins(%lhs, %rhs : tensor<2x7x5x3xi32>, tensor<2x7x5x3xi32>) outs(%0 : tensor<2x7x5x3xi32>) -> tensor<2x7x5x3xi32>
    return %1 : tensor<2x7x5x3xi32>
  }
}
