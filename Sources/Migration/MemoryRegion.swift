package import ControlProtocol
package import KVCore
package import KVPool
package import Platform

/// Memory of this engine that a link may use, whoever owns it: a KV pool, or a foreign engine.
package struct MemoryRegion: Sendable {
  /// How peers reach the region.
  package enum Sharing: Sendable {
    /// Peers on the node map `file`, in which the region starts at `offset`; others are sent what
    /// lies at `address` in this process.
    case file(SharedMemoryFile, offset: ByteCount, address: UInt)
    /// Peers are sent what lies at `address` in this process.
    case memory(address: UInt)
    /// Nobody but this process: the region can only be migrated into.
    case none
  }

  package let key: RegionKey
  package let length: ByteCount
  /// The first byte in this process, where migrations write; nil where they may not.
  package let address: UInt?
  package let sharing: Sharing
  /// What is read as a whole, a block: where the region is given to a device in parts, each is a
  /// multiple of it.
  package let unit: ByteCount
  /// Whose memory it is; kept alive for as long as the region is registered or being written.
  package let owner: any AnyObject & Sendable

  package init(
    key: RegionKey, length: ByteCount, address: UInt?, sharing: Sharing,
    unit: ByteCount = ByteCount(1), owner: any AnyObject & Sendable
  ) {
    self.key = key
    self.length = length
    self.address = address
    self.sharing = sharing
    self.unit = unit
    self.owner = owner
  }

  /// The regions of a pool whose blocks peers read, in place or by copies: blocks and lines.
  package static func shared(_ pool: KVPool) -> [MemoryRegion] {
    pool.layout.regions.map { region in
      MemoryRegion(
        key: region.key, length: region.length, address: nil,
        sharing: .file(
          pool.file, offset: region.offset,
          address: pool.baseAddress + UInt(region.offset.rawValue)),
        unit: region.unit, owner: pool)
    }
  }

  /// The region of a pool that peers' blocks are migrated into, and that no peer sees.
  package static func destination(_ pool: KVPool) -> MemoryRegion {
    let blocks = pool.layout.blocks
    return MemoryRegion(
      key: blocks.key, length: blocks.length,
      address: pool.baseAddress + UInt(blocks.offset.rawValue), sharing: .none,
      unit: blocks.unit, owner: pool)
  }

  /// Where peers' reads of the region begin in this process; nil where it is not shared.
  var sourceAddress: UInt? {
    switch sharing {
    case .file(_, _, let address), .memory(let address): address
    case .none: nil
    }
  }

  /// What the other side of a link is told.
  package var info: RegionInfo { RegionInfo(key: key, length: length) }
}
