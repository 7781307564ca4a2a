module {
  func.func @vecmat(%lhs: tensor<32xf32>, %rhs: tensor<32x8xf32>) -> tensor<8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<8xf32>) -> tensor<8xf32>
    %3 = linalg.vecmat ins(%lhs, %rhs : tensor<32xf32>, tensor<32x8xf32>) outs(%2 : tensor<8xf32>) -> tensor<8xf32>
    return %3 : tensor<8xf32>
  }
}
