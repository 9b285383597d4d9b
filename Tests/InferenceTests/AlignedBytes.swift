/// Memory from a multiple of 64 on, for kernels whose work depends on alignment.
@safe final class AlignedBytes {
  let start: UnsafeMutableRawPointer
  let count: Int

  init(_ bytes: [UInt8]) {
    count = bytes.count
    unsafe start = .allocate(byteCount: max(count, 1), alignment: 64)
    unsafe UnsafeMutableRawBufferPointer(start: start, count: count).copyBytes(from: bytes)
  }

  deinit { unsafe start.deallocate() }

  var bytes: [UInt8] { unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count)) }
}
