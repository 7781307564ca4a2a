module {
  func.func @transpose(%input: tensor<2x7x5x3xf32>) -> tensor<2x3x7x5xf32> {
    %0 = tensor.empty() : tensor<2x3x7x5xf32>
    %1 = linalg.transpose ins(%input : tensor<2x7x5x3xf32>) outs(%0 : tensor<2x3x7x5xf32>) permutation = [0, 3, 1, 2]
    return %1 : tensor<2x3x7x5xf32>
  }
}
