module {
  func.func @fill(%value: tensor<f32>) -> tensor<7xf32> {
    %0 = tensor.extract %value[] : tensor<f32>
    %1 = tensor.empty() : tensor<7xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<7xf32>) -> tensor<7xf32>
    return %2 : tensor<7xf32>
  }
}
