module {
  func.func @select(%condition: tensor<7xi1>, %lhs: tensor<7xf32>, %rhs: tensor<7xf32>) -> tensor<7xf32> {
    %0 = tensor.empty() : tensor<7xf32>
    %1 = linalg.select ins(%condition, %lhs, %rhs : tensor<7xi1>, tensor<7xf32>, tensor<7xf32>) outs(%0 : tensor<7xf32>) -> tensor<7xf32>
    return %1 : tensor<7xf32>
  }
}
