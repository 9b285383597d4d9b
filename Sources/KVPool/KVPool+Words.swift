package import KVCore

extension KVPool {
  /// Lends the memory of block `block` as words; its owner may write to it. The block's length must
  /// be a multiple of eight bytes.
  package func withWords<Result>(
    of block: BlockIndex, _ body: (inout MutableSpan<UInt64>) -> Result
  ) -> Result {
    let bytes = geometry.blockBytes.rawValue
    precondition(bytes % MemoryLayout<UInt64>.size == 0, "a block of whole words")
    let count = bytes / MemoryLayout<UInt64>.size
    let first = unsafe UnsafeMutableRawPointer(mutating: self.bytes(of: block))
      .assumingMemoryBound(to: UInt64.self)
    var words = unsafe MutableSpan(_unsafeStart: first, count: count)
    return body(&words)
  }
}
