module {
  func.func @reduce(%input: tensor<2x7x5x3xf32>) -> tensor<2x7x5xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<2x7x5xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<2x7x5xf32>) -> tensor<2x7x5xf32>
    %3 = linalg.reduce { arith.addf } ins(%input : tensor<2x7x5x3xf32>) outs(%2 : tensor<2x7x5xf32>) dimensions = [3]
    return %3 : tensor<2x7x5xf32>
  }
}
