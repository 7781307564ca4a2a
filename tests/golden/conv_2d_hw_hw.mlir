module {
  func.func @conv_2d(%image: tensor<9x11xf32>, %filter: tensor<3x2xf32>) -> tensor<7x10xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<7x10xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<7x10xf32>) -> tensor<7x10xf32>
    %3 = linalg.conv_2d ins(%image, %filter : tensor<9x11xf32>, tensor<3x2xf32>) outs(%2 : tensor<7x10xf32>) -> tensor<7x10xf32>
    return %3 : tensor<7x10xf32>
  }
}
