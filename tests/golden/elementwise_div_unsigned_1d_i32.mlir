module {
  func.func @elementwise(%lhs: tensor<7xi32>, %rhs: tensor<7xi32>) -> tensor<7xi32> {
    %0 = tensor.empty() : tensor<7xi32>
    %1 = linalg.div_unsigned ins(%lhs, %rhs : tensor<7xi32>, tensor<7xi32>) outs(%0 : tensor<7xi32>) -> tensor<7xi32>
    return %1 : tensor<7xi32>
  }
}
