module {
  func.func @unpack(%tiles: tensor<3x2x4x5xf32>) -> tensor<12x10xf32> {
    %0 = tensor.empty() : tensor<12x10xf32>
    %1 = linalg.unpack %tiles inner_dims_pos = [0, 1] inner_tiles = [4, 5] into %0 : tensor<3x2x4x5xf32> -> tensor<12x10xf32>
    return %1 : tensor<12x10xf32>
  }
}
