module {
  func.func @transpose(%input: tensor<7x5x3xf32>) -> tensor<7x3x5xf32> {
    %0 = tensor.empty() : tensor<7x3x5xf32>
    %1 = linalg.transpose ins(%input : tensor<7x5x3xf32>) outs(%0 : tensor<7x3x5xf32>) permutation = [0, 2, 1]
    return %1 : tensor<7x3x5xf32>
  }
}
