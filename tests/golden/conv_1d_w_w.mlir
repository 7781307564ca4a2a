module {
  func.func @conv_1d(%image: tensor<11xf32>, %filter: tensor<2xf32>) -> tensor<10xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<10xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<10xf32>) -> tensor<10xf32>
    %3 = linalg.conv_1d ins(%image, %filter : tensor<11xf32>, tensor<2xf32>) outs(%2 : tensor<10xf32>) -> tensor<10xf32>
    return %3 : tensor<10xf32>
  }
}
