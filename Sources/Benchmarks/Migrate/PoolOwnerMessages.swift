import ControlProtocol
import ControlWire
import Foundation
import KVCore

/// What the reader asks of the process that owns the pool, as one line of JSON.
struct PoolRequest: Codable {
  let options: MigrateOptions
  let link: UInt64
  /// The reader's and the owner's start.
  let readerIncarnation: UInt64
  let ownerIncarnation: UInt64
  let seed: UInt64
  /// The reader's end of the link: a `LinkOpen` in hexadecimal.
  let endpoint: String

  /// Under which the reader may read the sequence.
  static let ticket = TicketID(high: 1, low: 1)
  static let readerName = "bench-reader"
  static let ownerName = "bench-owner"
}

/// The owner's answer: a sequence's ticket and progress, and the endpoint of the link.
struct PoolAnswer: Codable {
  /// First block and count of each run.
  let blocks: [[UInt32]]
  let stamps: [UInt64]
  /// Empty unless they are to be checked.
  let checksums: [UInt64]
  /// The owner's end of the link: a `LinkOpened` in hexadecimal.
  let link: String
  /// What the reader needs for RDMA: a `PrefillProgress` with windows only, in hexadecimal.
  let access: String
  /// Of the owner.
  let processID: Int32
  /// Where a bare stream of the same blocks can be had; nil where none is wanted.
  let streamPort: UInt16?
  /// What the pool lies on: `4k`, `huge` or `mixed`.
  let pages: String

  init(
    ranges: [BlockRange], stamps: [UInt64], checksums: [UInt64], endpoint: EndpointInfo,
    windows: [RDMAWindow], streamPort: UInt16?, pages: String
  ) {
    blocks = ranges.map { [$0.first.rawValue, $0.count] }
    self.stamps = stamps
    self.checksums = checksums
    link = EndpointText.encode(.linkOpened(LinkOpened(endpoints: [endpoint])))
    access = EndpointText.encode(
      .prefillProgress(
        PrefillProgress(
          firstBlock: 0, stamps: [], checksums: [], completion: nil, windows: windows)))
    processID = ProcessInfo.processInfo.processIdentifier
    self.streamPort = streamPort
    self.pages = pages
  }

  var ranges: [BlockRange] {
    blocks.map { BlockRange(first: BlockIndex($0[0]), count: $0[1]) }
  }
}

/// How the two ends of a link are passed between the processes: as the control protocol does.
enum EndpointText {
  static func encode(_ message: Message) -> String {
    Hexadecimal.string(MessageCodec.payload(of: message))
  }

  /// The windows of a `PrefillProgress`.
  static func windows(_ text: String) throws(BatonError) -> [RDMAWindow] {
    let payload = Hexadecimal.bytes(text) ?? []
    let type = MessageType.prefillProgress
    guard
      case .prefillProgress(let progress) = try MessageCodec.decode(
        type: type.rawValue, payload: payload.span)
    else { throw BatonError(.protocolViolation, "windows are expected") }
    return progress.windows
  }

  /// The one endpoint of a `LinkOpen` or `LinkOpened`.
  static func decode(_ text: String, as type: MessageType) throws(BatonError) -> EndpointInfo {
    let payload = Hexadecimal.bytes(text) ?? []
    switch try MessageCodec.decode(type: type.rawValue, payload: payload.span) {
    case .linkOpen(let open) where open.endpoints.count == 1: return open.endpoints[0]
    case .linkOpened(let opened) where opened.endpoints.count == 1: return opened.endpoints[0]
    default: throw BatonError(.protocolViolation, "one endpoint is expected")
    }
  }
}

/// The one line that an owner writes.
enum PoolOwnerLine: Codable {
  case ready(PoolAnswer)
  /// The error's code and message.
  case failed(code: UInt16, message: String)
}
