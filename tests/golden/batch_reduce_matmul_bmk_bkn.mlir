module {
  func.func @batch_reduce_matmul(%lhs: tensor<3x16x32xf32>, %rhs: tensor<3x32x8xf32>) -> tensor<16x8xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<16x8xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<16x8xf32>) -> tensor<16x8xf32>
    %3 = linalg.batch_reduce_matmul ins(%lhs, %rhs : tensor<3x16x32xf32>, tensor<3x32x8xf32>) outs(%2 : tensor<16x8xf32>) -> tensor<16x8xf32>
    return %3 : tensor<16x8xf32>
  }
}
