module {
  func.func @elementwise(%lhs: tensor<7x5x3xi32>, %rhs: tensor<7x5x3xi32>) -> tensor<7x5x3xi32> {
    %0 = tensor.empty() : tensor<7x5x3xi32>
    %1 = linalg.div_unsigned ins(%lhs, %rhs : tensor<7x5x3xi32>, tensor<7x5x3xi32>) outs(%0 : tensor<7x5x3xi32>) -> tensor<7x5x3xi32>
    return %1 : tensor<7x5x3xi32>
  }
}
