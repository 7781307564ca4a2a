module {
  func.func @transpose(%input: tensor<2x7x5x3xf32>) -> tensor<2x7x3x5xf32> {
    %0 = tensor.empty() : tensor<2x7x3x5xf32>
    %1 = linalg.transpose ins(%input : tensor<2x7x5x3xf32>) outs(%0 : tensor<2x7x3x5xf32>) permutation = [0, 1, 3, 2]
    return %1 : tensor<2x7x3x5xf32>
  }
}
