module {
  func.func @broadcast(%input: tensor<7x5xf32>) -> tensor<7x5x3xf32> {
    %0 = tensor.empty() : tensor<7x5x3xf32>
    %1 = linalg.broadcast ins(%input : tensor<7x5xf32>) outs(%0 : tensor<7x5x3xf32>) dimensions = [2]
    return %1 : tensor<7x5x3xf32>
  }
}
