module {
  func.func @transpose(%input: tensor<7x5x3xf32>) -> tensor<5x3x7xf32> {
    %0 = tensor.empty() : tensor<5x3x7xf32>
    %1 = linalg.transpose ins(%input : tensor<7x5x3xf32>) outs(%0 : tensor<5x3x7xf32>) permutation = [1, 2, 0]
    return %1 : tensor<5x3x7xf32>
  }
}
