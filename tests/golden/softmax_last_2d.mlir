module {
  func.func @softmax(%input: tensor<7x5xf32>) -> tensor<7x5xf32> {
    %0 = tensor.empty() : tensor<7x5xf32>
    %1 = linalg.softmax dimension(1) ins(%input : tensor<7x5xf32>) outs(%0 : tensor<7x5xf32>) -> tensor<7x5xf32>
    return %1 : tensor<7x5xf32>
  }
}
