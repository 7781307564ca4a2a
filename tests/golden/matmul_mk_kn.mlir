module {
  func.func @matmul(%lhs: tensor<64x128xf32>, %rhs: tensor<128x32xf32>) -> tensor<64x32xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<64x32xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<64x32xf32>) -> tensor<64x32xf32>
    %3 = linalg.matmul ins(%lhs, %rhs : tensor<64x128xf32>, tensor<128x32xf32>) outs(%2 : tensor<64x32xf32>) -> tensor<64x32xf32>
    return %3 : tensor<64x32xf32>
  }
}
