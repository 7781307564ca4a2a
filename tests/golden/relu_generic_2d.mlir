module {
  func.func @relu(%input: tensor<7x5xf32>) -> tensor<7x5xf32> {
    %0 = arith.constant 0.0 : f32
    %1 = tensor.empty() : tensor<7x5xf32>
    %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%input : tensor<7x5xf32>) outs(%1 : tensor<7x5xf32>) {
    ^bb0(%in: f32, %out: f32):
      %3 = arith.maximumf %in, %0 : f32
      linalg.yield %3 : f32
    } -> tensor<7x5xf32>
    return %2 : tensor<7x5xf32>
  }
}
