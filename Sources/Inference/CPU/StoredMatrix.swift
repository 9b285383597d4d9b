import CKernels
import KVCore

/// A weight matrix `[rows, depth]`, read in place in its file's mapping.
struct StoredMatrix: Sendable {
  let tensor: StoredTensor
  var rows: Int { tensor.shape[0] }
  var depth: Int { tensor.shape[1] }

  /// What the kernels take: the product goes to `output`, `[input rows, rows]`.
  func multiplication(into output: UnsafeMutablePointer<Float>) -> ck_matrix {
    unsafe ck_matrix(
      weights: tensor.address, data_type: tensor.dataType, rows: rows, output: output)
  }

  /// Widens one row into `destination`, which has room for `depth` floats.
  func copyRow(_ row: Int, to destination: UnsafeMutablePointer<Float>) {
    let bytes = tensor.dataType == CK_BFLOAT16 ? 2 : 4
    unsafe ck_widen(tensor.address + row * depth * bytes, tensor.dataType, depth, destination)
  }
}
