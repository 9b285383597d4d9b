import CLinux
package import KVCore
package import Platform
import Synchronization

/// An engine's KV blocks in one sealed memfd that peers on the node can map, and only read.
///
/// Callable from any thread. Whoever writes a block must own it: have allocated it, not yet freed.
package final class KVPool: Sendable {
  package let layout: PoolLayout
  /// What peers get; sealed.
  package let file: SharedMemoryFile
  /// On what pages the pool lies.
  package let pages: PageReport
  private let mapping: SharedMapping
  private let allocator: Mutex<ExtentAllocator>
  /// The last stamp given out, always even: stamps never repeat while the pool lives.
  private let lastStamp = Atomic<UInt64>(0)

  /// Takes and populates the memory, then seals it: nobody, its owner included, can map it
  /// writable again or change its length.
  ///
  /// Throws `invalidArgument` for a layout that cannot be, `resourceExhausted` if the system does
  /// not give the memory.
  package init(geometry: KVGeometry, blockCount: Int) throws(BatonError) {
    layout = try PoolLayout(geometry: geometry, blockCount: blockCount)
    file = try SharedMemoryFile.create(name: "baton-kv-pool", length: layout.length)
    mapping = try SharedMapping(of: file, access: .readWrite)
    try mapping.populate()
    try file.add(.readOnlyForPeers)
    pages = mapping.pageReport()
    allocator = Mutex(ExtentAllocator(capacity: blockCount))
  }

  package var geometry: KVGeometry { layout.geometry }
  package var blockCount: Int { layout.blockCount }

  // MARK: Addresses

  /// The address of the first byte of the pool's memory, where region offsets count from.
  package var baseAddress: UInt { mapping.address }

  /// Where block `block` lies in this process; `geometry.blockBytes` bytes from there on are
  /// writable.
  package func address(of block: BlockIndex) -> UInt {
    precondition(Int(block.rawValue) < blockCount, "block \(block) of \(blockCount)")
    return mapping.address + UInt(layout.offset(of: block))
  }

  /// The first byte of block `block`.
  func bytes(of block: BlockIndex) -> UnsafeRawPointer {
    precondition(Int(block.rawValue) < blockCount, "block \(block) of \(blockCount)")
    return unsafe UnsafeRawPointer(mapping.base + layout.offset(of: block))
  }

  // MARK: Extents

  /// Takes `blocks` blocks in as few runs as can be, in the order of their addresses, and marks
  /// them all as being written, so that a reader who still believes in their last owner finds out.
  ///
  /// Throws `resourceExhausted`, with nothing taken, if fewer are free.
  package func allocate(blocks: Int) throws(BatonError) -> [BlockRange] {
    let (ranges, free) = allocator.withLock { allocator in
      (allocator.allocate(blocks), allocator.freeCount)
    }
    guard let ranges else {
      throw BatonError(
        .resourceExhausted,
        "\(blocks) KV blocks are wanted, \(free) of the pool's \(blockCount) are free")
    }
    for range in ranges {
      for block in range.blocks { beginWrite(block) }
    }
    return ranges
  }

  /// Gives blocks back. Freeing a block that is free stops the process.
  package func free(_ ranges: [BlockRange]) {
    allocator.withLock { allocator in
      for range in ranges { allocator.free(range) }
    }
  }

  package var statistics: PoolStatistics {
    allocator.withLock { allocator in
      PoolStatistics(
        total: allocator.capacity, free: allocator.freeCount, freeRuns: allocator.freeRuns.count,
        largestFreeRun: allocator.largestFreeRun)
    }
  }

  // MARK: Stamps

  /// Marks a block as being written: its stamp becomes odd, before the first byte changes.
  ///
  /// `allocate` has done so already; call it before writing again to a block that `endWrite` has
  /// made final.
  package func beginWrite(_ block: BlockIndex) {
    let (_, even) = lastStamp.add(2, ordering: .relaxed)
    unsafe clinux_stamp_begin(line(of: block), even - 1)
  }

  /// Makes a block final, after its last byte, and returns the stamp that readers must find.
  package func endWrite(_ block: BlockIndex) -> UInt64 {
    let line = unsafe line(of: block)
    let stamp = unsafe clinux_stamp_load(line)
    precondition(stamp & 1 == 1, "block \(block) is final already")
    unsafe clinux_stamp_end(line, stamp + 1)
    return stamp + 1
  }

  /// The stamp of a block: odd while it is written, 0 if it never was.
  package func currentStamp(_ block: BlockIndex) -> UInt64 {
    unsafe clinux_stamp_load(line(of: block))
  }

  private func line(of block: BlockIndex) -> UnsafeMutablePointer<clinux_block_line> {
    precondition(Int(block.rawValue) < blockCount, "block \(block) of \(blockCount)")
    return unsafe (mapping.base + layout.lineOffset(of: block))
      .assumingMemoryBound(to: clinux_block_line.self)
  }
}
