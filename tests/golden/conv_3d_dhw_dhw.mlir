module {
  func.func @conv_3d(%image: tensor<8x9x11xf32>, %filter: tensor<2x3x2xf32>) -> tensor<7x7x10xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<7x7x10xf32>
    %2 = linalg.fill ins(%0 : f32) outs(%1 : tensor<7x7x10xf32>) -> tensor<7x7x10xf32>
    %3 = linalg.conv_3d ins(%image, %filter : tensor<8x9x11xf32>, tensor<2x3x2xf32>) outs(%2 : tensor<7x7x10xf32>) -> tensor<7x7x10xf32>
    return %3 : tensor<7x7x10xf32>
  }
}
