module {
  func.func @broadcast(%input: tensor<2x7x5xf32>) -> tensor<2x7x5x3xf32> {
    %0 = tensor.empty() : tensor<2x7x5x3xf32>
    %1 = linalg.broadcast ins(%input : tensor<2x7x5xf32>) outs(%0 : tensor<2x7x5x3xf32>) dimensions = [3]
    return %1 : tensor<2x7x5x3xf32>
  }
}
