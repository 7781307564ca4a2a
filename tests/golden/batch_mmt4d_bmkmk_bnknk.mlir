module {
  func.func @batch_mmt4d(%lhs: tensor<3x3x4x4x2xf32>, %rhs: tensor<3x2x4x8x2xf32>) -> tensor<3x3x2x4x8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<3x3x2x4x8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<3x3x2x4x8xf32>) -> tensor<3x3x2x4x8xf32>
    %3 = linalg.batch_mmt4d ins(%lhs, %rhs : tensor<3x3x4x4x2xf32>, tensor<3x2x4x8x2xf32>) outs(%2 : tensor<3x3x2x4x8xf32>) -> tensor<3x3x2x4x8xf32>
    return %3 : tensor<3x3x2x4x8xf32>
  }
}
