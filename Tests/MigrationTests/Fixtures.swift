import CXXHash
import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import TestSupport

/// Blocks of 4 KiB: 16 tokens of two layers with two heads of four floats.
let smallGeometry = KVGeometry(
  blockTokens: 16,
  groups: [CacheGroup(layers: 4, keyValueHeads: 2, headDimension: 4, dataType: .float32)])

/// One engine of a test: a name, a start, and its side of the links.
struct Side {
  let engine: EngineID
  let incarnation: Incarnation
  let backend: MigrationBackend

  init(_ name: String, options: MigrationOptions = MigrationOptions()) throws(BatonError) {
    engine = try EngineID(name)
    incarnation = .random()
    backend = try MigrationBackend(engine: engine, incarnation: incarnation, options: options)
  }

  func initialize(_ link: LinkID, to remote: Side) throws(BatonError) {
    try backend.initialize(
      link: link, remote: remote.engine, remoteIncarnation: remote.incarnation)
  }

  func sharedMemoryEndpoint(_ link: LinkID) throws(BatonError) -> SharedMemoryEndpoint {
    let info = try backend.endpointInfo(link: link)
    guard let endpoint = info.sharedMemory else {
      throw BatonError(.internalError, "no shared memory is offered: \(info)")
    }
    return endpoint
  }
}

/// Two engines with a pool each, and a link between them.
struct PoolPair {
  let prefill: Side
  let decode: Side
  let source: KVPool
  let destination: KVPool
  let link = LinkID.random()

  init(
    sourceBlocks: Int, destinationBlocks: Int, geometry: KVGeometry = smallGeometry
  ) async throws {
    prefill = try Side("prefill-0")
    decode = try Side("decode-0")
    source = try KVPool(
      geometry: geometry, blockCount: sourceBlocks)
    destination = try KVPool(
      geometry: geometry, blockCount: destinationBlocks)
    try prefill.initialize(link, to: decode)
    try decode.initialize(link, to: prefill)
    for region in MemoryRegion.shared(source) {
      try prefill.backend.registerMemoryRegion(region, link: link)
    }
    try decode.backend.registerMemoryRegion(.destination(destination), link: link)
    let decodeEndpoint = try decode.backend.endpointInfo(link: link)
    let prefillEndpoint = try prefill.backend.endpointInfo(link: link)
    try await prefill.backend.connect(link: link, remote: decodeEndpoint)
    try await decode.backend.connect(link: link, remote: prefillEndpoint)
  }

  func migration() throws(BatonError) -> PoolMigration {
    try PoolMigration(
      backend: decode.backend, link: link, peer: prefill.engine, remote: source.layout,
      destination: destination)
  }

  /// Writes `blocks` as prefill does, each word `seed` plus the block's place, and makes them
  /// final.
  func write(_ blocks: [BlockRange], seed: UInt64) -> [UInt64] {
    blocks.flatMap(\.blocks).enumerated().map { place, block in
      fill(
        source.address(of: block), with: seed + UInt64(place),
        bytes: source.geometry.blockBytes.rawValue)
      return source.endWrite(block)
    }
  }

  /// What the library says of `blocks` as they are now.
  func checksums(_ blocks: [BlockRange]) -> [UInt64] {
    blocks.flatMap(\.blocks).map {
      checksum(source.address(of: $0), bytes: source.geometry.blockBytes.rawValue)
    }
  }

  /// Changes one bit of a block of prefill's pool, as nobody should.
  func flipBit(of block: BlockIndex, byte: Int) {
    let address = source.address(of: block) + UInt(byte)
    guard let start = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address) else { return }
    unsafe start.pointee ^= 0x10
  }

  /// Whether `blocks` of decode's pool hold what `write` wrote.
  func holds(_ blocks: [BlockRange], seed: UInt64) -> Bool {
    blocks.flatMap(\.blocks).enumerated().allSatisfy { place, block in
      isFilled(
        destination.address(of: block), with: seed + UInt64(place),
        bytes: destination.geometry.blockBytes.rawValue)
    }
  }
}

/// XXH3 as the system's xxHash library has it.
func checksum(_ address: UInt, bytes: Int) -> UInt64 {
  unsafe xxhash_xxh3_64bits(UnsafeRawPointer(bitPattern: address), bytes)
}

func ranges(_ pairs: (UInt32, UInt32)...) -> [BlockRange] {
  pairs.map { BlockRange(first: BlockIndex($0.0), count: $0.1) }
}

/// Memory of this process alone, as an engine without a pool has it.
final class PlainMemory: Sendable {
  let address: UInt
  let length: Int

  init(length: Int) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 64)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: length)
    address = UInt(bitPattern: memory)
    self.length = length
  }

  var checksum: UInt64 { MigrationTests.checksum(address, bytes: length) }

  func region(_ key: RegionKey) -> MemoryRegion {
    MemoryRegion(
      key: key, length: ByteCount(length), address: address, sharing: .none, owner: self)
  }

  deinit { unsafe UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
}

/// A memfd with its owner's mapping, as a foreign engine on the node shares its own memory.
final class ForeignMemory: Sendable {
  let file: SharedMemoryFile
  private let mapping: SharedMapping

  init(length: Int) throws(BatonError) {
    file = try SharedMemoryFile.create(name: "foreign", length: ByteCount(length))
    mapping = try SharedMapping(of: file, access: .readWrite)
    try mapping.populate()
    try file.add([.shrink, .grow, .futureWrite])
  }

  var address: UInt { mapping.address }

  func region(_ key: RegionKey, length: Int, offset: Int = 0) -> MemoryRegion {
    MemoryRegion(
      key: key, length: ByteCount(length), address: address + UInt(offset),
      sharing: .file(file, offset: ByteCount(offset), address: address + UInt(offset)), owner: self)
  }
}

/// What one side of a descriptor socket says, in bytes that are written out here.
func descriptorMessage(
  status: UInt8, _ engine: EngineID, _ incarnation: Incarnation, word: UInt8 = 255,
  token: [UInt8] = []
) -> [UInt8] {
  let name = Array(engine.name.utf8)
  let number = (0..<8).map { UInt8(truncatingIfNeeded: incarnation.rawValue >> (8 * $0)) }
  return Array("BTND".utf8) + [1, status, UInt8(name.count), word] + number + token + name
}
