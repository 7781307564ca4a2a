module {
  func.func @reduce(%input: tensor<2x7x5x3xf32>) -> tensor<7x5x3xf32> {
    %0 = arith.constant 0xFF800000 : f32
    %1 = tensor.empty() : tensor<7x5x3xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<7x5x3xf32>) -> tensor<7x5x3xf32>
    %3 = linalg.reduce { arith.maximumf } ins(%input : tensor<2x7x5x3xf32>) outs(%2 : tensor<7x5x3xf32>) dimensions = [0]
    return %3 : tensor<7x5x3xf32>
  }
}
