module {
  func.func @reduce(%input: tensor<7x5xf32>) -> tensor<5xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<5xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<5xf32>) -> tensor<5xf32>
    %3 = linalg.reduce { arith.addf } ins(%input : tensor<7x5xf32>) outs(%2 : tensor<5xf32>) dimensions = [0]
    return %3 : tensor<5xf32>
  }
}
