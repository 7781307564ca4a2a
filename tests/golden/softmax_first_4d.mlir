module {
  func.func @softmax(%input: tensor<2x7x5x3xf32>) -> tensor<2x7x5x3xf32> {
    %0 = tensor.empty() : tensor<2x7x5x3xf32>
    %1 = linalg.softmax dimension(0) ins(%input : tensor<2x7x5x3xf32>) outs(%0 : tensor<2x7x5x3xf32>) -> tensor<2x7x5x3xf32>
    return %1 : tensor<2x7x5x3xf32>
  }
}
