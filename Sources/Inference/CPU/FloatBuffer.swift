import Glibc

/// Floats in memory that stays where it is, for kernels that read and write it.
@safe final class FloatBuffer: @unchecked Sendable {
  // SAFETY: the class guards nothing by itself. Weights are written before they are shared and only
  // read from then on; scratch belongs to the one thread that computes (see `CPUEngine.forward`).

  let start: UnsafeMutablePointer<Float>

  /// `count` zeros (calloc(3)). The system provides pages when they are first touched, so scratch
  /// for a context that nobody fills costs nothing.
  init(count: Int) {
    guard let memory = unsafe calloc(max(count, 1), MemoryLayout<Float>.stride) else {
      fatalError("out of memory for \(count) floats")
    }
    unsafe start = unsafe memory.bindMemory(to: Float.self, capacity: count)
  }

  deinit { unsafe free(start) }
}
