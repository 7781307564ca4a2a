module {
  func.func @transpose(%input: tensor<2x7x5x3xf32>) -> tensor<3x5x7x2xf32> {
    %0 = tensor.empty() : tensor<3x5x7x2xf32>
    %1 = linalg.transpose ins(%input : tensor<2x7x5x3xf32>) outs(%0 : tensor<3x5x7x2xf32>) permutation = [3, 2, 1, 0]
    return %1 : tensor<3x5x7x2xf32>
  }
}
