module {
  func.func @fill_rng_2d(%minimum: tensor<f64>, %maximum: tensor<f64>, %seed: tensor<i32>) -> tensor<12x10xf32> {
    %0 = tensor.extract %minimum[] : tensor<f64>
    %1 = tensor.extract %maximum[] : tensor<f64>
    %2 = tensor.extract %seed[] : tensor<i32>
    %3 = tensor.empty() : tensor<12x10xf32>
    %4 = linalg.fill_rng_2d ins(%0, %1, %2 : f64, f64, i32) outs(%3 : tensor<12x10xf32>) -> tensor<12x10xf32>
    return %4 : tensor<12x10xf32>
  }
}
