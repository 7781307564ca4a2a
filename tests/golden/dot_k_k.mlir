module {
  func.func @dot(%lhs: tensor<32xf32>, %rhs: tensor<32xf32>) -> tensor<f32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<f32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<f32>) -> tensor<f32>
    %3 = linalg.dot ins(%lhs, %rhs : tensor<32xf32>, tensor<32xf32>) outs(%2 : tensor<f32>) -> tensor<f32>
    return %3 : tensor<f32>
  }
}
