module {
  func.func @broadcast(%input: tensor<7xf32>) -> tensor<7x5xf32> {
    %0 = tensor.empty() : tensor<7x5xf32>
    %1 = linalg.broadcast ins(%input : tensor<7xf32>) outs(%0 : tensor<7x5xf32>) dimensions = [1]
    return %1 : tensor<7x5xf32>
  }
}
