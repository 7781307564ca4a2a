module {
  func.func @fill(%value: tensor<f32>) -> tensor<2x7x5x3xf32> {
    %0 = tensor.extract %value[] : tensor<f32>
    %1 = tensor.empty() : tensor<2x7x5x3xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<2x7x5x3xf32>) -> tensor<2x7x5x3xf32>
    return %2 : tensor<2x7x5x3xf32>
  }
}
