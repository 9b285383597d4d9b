import ControlProtocol
import KVCore

/// What the reader asks of the process that owns the pool, as one line of JSON.
struct PoolRequest: Codable {
  let options: MigrateOptions
  let link: UInt64
  /// The reader's and the owner's start.
  let readerIncarnation: UInt64
  let ownerIncarnation: UInt64
  let seed: UInt64

  static let readerName = "bench-reader"
  static let ownerName = "bench-owner"
}

/// The owner's answer: a sequence's ticket and progress, and the endpoint of the link.
struct PoolAnswer: Codable {
  struct Region: Codable {
    let key: UInt32
    let length: Int
  }

  /// First block and count of each run.
  let blocks: [[UInt32]]
  let stamps: [UInt64]
  /// Empty unless they are to be checked.
  let checksums: [UInt64]
  let socketName: String
  let token: [UInt8]
  let regions: [Region]
  /// What the pool lies on: `4k`, `huge` or `mixed`.
  let pages: String

  init(
    ranges: [BlockRange], stamps: [UInt64], checksums: [UInt64], endpoint: EndpointInfo,
    pages: String
  ) {
    blocks = ranges.map { [$0.first.rawValue, $0.count] }
    self.stamps = stamps
    self.checksums = checksums
    switch endpoint {
    case .sharedMemory(let endpoint):
      socketName = endpoint.socketName
      token = endpoint.token
      regions = endpoint.regions.map { Region(key: $0.key.rawValue, length: $0.length.rawValue) }
    }
    self.pages = pages
  }

  var ranges: [BlockRange] {
    blocks.map { BlockRange(first: BlockIndex($0[0]), count: $0[1]) }
  }

  var endpoint: EndpointInfo {
    .sharedMemory(
      SharedMemoryEndpoint(
        socketName: socketName, token: token,
        regions: regions.map { RegionInfo(key: RegionKey($0.key), length: ByteCount($0.length)) }))
  }
}

/// The one line that an owner writes.
enum PoolOwnerLine: Codable {
  case ready(PoolAnswer)
  /// The error's code and message.
  case failed(code: UInt16, message: String)
}
