module {
  func.func @matvec(%lhs: tensor<16x32xf32>, %rhs: tensor<32xf32>) -> tensor<16xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<16xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<16xf32>) -> tensor<16xf32>
    %3 = linalg.matvec ins(%lhs, %rhs : tensor<16x32xf32>, tensor<32xf32>) outs(%2 : tensor<16xf32>) -> tensor<16xf32>
    return %3 : tensor<16xf32>
  }
}
