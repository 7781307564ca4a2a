module {
  func.func @softmax(%input: tensor<7x5x3xf32>) -> tensor<7x5x3xf32> {
    %0 = tensor.empty() : tensor<7x5x3xf32>
    %1 = linalg.softmax dimension(2) ins(%input : tensor<7x5x3xf32>) outs(%0 : tensor<7x5x3xf32>) -> tensor<7x5x3xf32>
    return %1 : tensor<7x5x3xf32>
  }
}
