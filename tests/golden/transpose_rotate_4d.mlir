module {
  func.func @transpose(%input: tensor<2x7x5x3xf32>) -> tensor<7x5x3x2xf32> {
    %0 = tensor.empty() : tensor<7x5x3x2xf32>
    %1 = linalg.transpose ins(%input : tensor<2x7x5x3xf32>) outs(%0 : tensor<7x5x3x2xf32>) permutation = [1, 2, 3, 0]
    return %1 : tensor<7x5x3x2xf32>
  }
}
