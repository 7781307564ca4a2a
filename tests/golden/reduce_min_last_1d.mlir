module {
  func.func @reduce(%input: tensor<7xf32>) -> tensor<f32> {
    %0 = arith.constant 0x7F800000 : f32
    %1 = tensor.empty() : tensor<f32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<f32>) -> tensor<f32>
    %3 = linalg.reduce { arith.minimumf } ins(%input : tensor<7xf32>) outs(%2 : tensor<f32>) dimensions = [0]
    return %3 : tensor<f32>
  }
}
