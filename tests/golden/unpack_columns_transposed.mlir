module {
  func.func @unpack(%tiles: tensor<2x3x5x4xf32>) -> tensor<12x10xf32> {
    %0 = tensor.empty() : tensor<12x10xf32>
    %1 = linalg.unpack %tiles outer_dims_perm = [1, 0] inner_dims_pos = [1, 0] inner_tiles = [5, 4] into %0 : tensor<2x3x5x4xf32> -> tensor<12x10xf32>
    return %1 : tensor<12x10xf32>
  }
}
