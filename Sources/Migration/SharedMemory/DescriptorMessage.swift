import KVCore

/// What the two sides of a descriptor socket say: one message each way on SOCK_SEQPACKET.
///
/// Both start with the same 16 bytes, little endian: u32 magic `BTND`, u8 version 1, u8 status
/// (0 in a request), u8 length of the engine's name, u8 liveness word or 255, u64 incarnation. A
/// request goes on with the token's 16 bytes, both end with the name of the engine that speaks.
///
/// The memory's descriptor comes with an answer whose status is 0. Where a speaker gives a liveness
/// word, the words' descriptor comes with its request, or with a second copy of its answer: one
/// message carries one descriptor.
struct DescriptorMessage: Hashable, Sendable {
  enum Status: UInt8, Sendable, CaseIterable {
    case granted = 0
    case tokenUnknown = 1
    case wrongEngine = 2
    case malformed = 3
  }

  static let magic: UInt32 = 0x444E_5442
  static let version: UInt8 = 1
  static let headerBytes = 16
  /// The number on the wire of no liveness word.
  private static let noWord: UInt8 = 255
  static let maximumBytes =
    headerBytes + MigrationLimits.tokenBytes + Limits.maximumEngineNameBytes

  var status: Status
  /// Who speaks.
  var speaker: LinkPeer
  /// Of `tokenBytes` bytes in a request, empty in an answer.
  var token: [UInt8]
  /// Which of the speaker's liveness words the other side may wait for; nil for none.
  var word: UInt8?

  var encoded: [UInt8] {
    let name = speaker.engine.name.utf8
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerBytes + token.count + name.count)
    Self.append(Self.magic, to: &bytes)
    bytes += [Self.version, status.rawValue, UInt8(name.count), word ?? Self.noWord]
    Self.append(speaker.incarnation.rawValue, to: &bytes)
    return bytes + token + name
  }

  /// Throws `malformedFrame` for anything that `encoded` does not make.
  ///
  /// - Parameter tokenBytes: of a request `MigrationLimits.tokenBytes`, of an answer 0.
  init(decoding bytes: ArraySlice<UInt8>, tokenBytes: Int) throws(BatonError) {
    func refusal(_ reason: String) -> BatonError {
      BatonError(.malformedFrame, "a descriptor message of \(bytes.count) bytes: \(reason)")
    }
    let start = bytes.startIndex
    guard bytes.count >= Self.headerBytes + tokenBytes else { throw refusal("too short") }
    guard Self.number(bytes[start..<start + 4]) == UInt64(Self.magic) else {
      throw refusal("the magic number is wrong")
    }
    guard bytes[start + 4] == Self.version else {
      throw refusal("version \(bytes[start + 4]), \(Self.version) is spoken here")
    }
    guard let status = Status(rawValue: bytes[start + 5]) else {
      throw refusal("status \(bytes[start + 5]) is unknown")
    }
    let nameStart = start + Self.headerBytes + tokenBytes
    guard bytes.endIndex - nameStart == Int(bytes[start + 6]) else {
      throw refusal("the name's length is wrong")
    }
    let name = String(decoding: bytes[nameStart...], as: UTF8.self)
    self.status = status
    speaker = LinkPeer(
      engine: try EngineID(name),
      incarnation: Incarnation(Self.number(bytes[start + 8..<start + Self.headerBytes])))
    token = Array(bytes[start + Self.headerBytes..<nameStart])
    word = bytes[start + 7] == Self.noWord ? nil : bytes[start + 7]
  }

  init(status: Status, speaker: LinkPeer, token: [UInt8] = [], word: UInt8? = nil) {
    self.status = status
    self.speaker = speaker
    self.token = token
    self.word = word
  }

  private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  /// Little endian.
  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
