module {
  func.func @pooling(%image: tensor<2x3x28x32xf32>) -> tensor<2x3x13x24xf32> {
    %0 = tensor.empty() : tensor<3x5xf32>
    %1 = arith.constant 0.0 : f32
    %2 = tensor.empty() : tensor<2x3x13x24xf32>
    %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<2x3x13x24xf32>) -> tensor<2x3x13x24xf32>
    %4 = linalg.pooling_nchw_sum {dilations = dense<[1, 2]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>} ins(%image, %0 : tensor<2x3x28x32xf32>, tensor<3x5xf32>) outs(%3 : tensor<2x3x13x24xf32>) -> tensor<2x3x13x24xf32>
    %5 = arith.constant 15.0 : f32
    %6 = tensor.empty() : tensor<2x3x13x24xf32>
    %7 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%4 : tensor<2x3x13x24xf32>) outs(%6 : tensor<2x3x13x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      %8 = arith.divf %in, %5 : f32
      linalg.yield %8 : f32
    } -> tensor<2x3x13x24xf32>
    return %7 : tensor<2x3x13x24xf32>
  }
}
