import ControlProtocol
import KVCore

/// What both sides say when a data connection is opened; see `Protocols/README.md`, "TCP".
enum DataHandshake {
  static let magic: [UInt8] = Array("BTNT".utf8)
  static let version: UInt8 = 1
  static let nonceBytes = 32
  static let codesBytes = DataKeys.maximumCodes * DataKeys.codeBytes

  enum Status: UInt8, Sendable {
    case welcome = 0
    /// There is no such link, or it offers nothing.
    case linkUnknown = 1
    case malformed = 2
    /// There are too many connections.
    case full = 3
  }

  /// The reader's first message.
  struct Opening: Hashable, Sendable {
    static let byteCount = 16 + nonceBytes

    var link: LinkID
    var nonce: [UInt8]

    init(link: LinkID, nonce: [UInt8]) {
      self.link = link
      self.nonce = nonce
    }

    /// Nil for bytes that are not an opening.
    init?(_ bytes: [UInt8]) {
      guard bytes.count == Self.byteCount, bytes.starts(with: magic), bytes[4] == version,
        bytes[5..<8].allSatisfy({ $0 == 0 })
      else { return nil }
      link = LinkID(bytes[8..<16].reversed().reduce(0) { $0 << 8 | UInt64($1) })
      nonce = Array(bytes[16...])
    }

    var bytes: [UInt8] {
      magic + [version, 0, 0, 0]
        + (0..<8).map { UInt8(truncatingIfNeeded: link.rawValue >> (8 * $0)) }
        + nonce
    }
  }

  /// The owner's answer: its nonce, and its codes over both openings.
  struct Welcome: Hashable, Sendable {
    static let byteCount = 8 + nonceBytes + codesBytes

    var status: Status
    var nonce: [UInt8]
    var codes: [UInt8]

    static func refusal(_ status: Status) -> Welcome {
      Welcome(
        status: status, nonce: Array(repeating: 0, count: nonceBytes),
        codes: Array(repeating: 0, count: codesBytes))
    }

    init(status: Status, nonce: [UInt8], codes: [UInt8]) {
      self.status = status
      self.nonce = nonce
      self.codes = codes
    }

    /// Nil for bytes that are not a welcome.
    init?(_ bytes: [UInt8]) {
      guard bytes.count == Self.byteCount, bytes.starts(with: magic), bytes[4] == version,
        let status = Status(rawValue: bytes[5]), bytes[6] == 0, bytes[7] == 0
      else { return nil }
      self.status = status
      nonce = Array(bytes[8..<8 + nonceBytes])
      codes = Array(bytes[(8 + nonceBytes)...])
    }

    /// What both sides prove themselves over, with the opening before it.
    var head: [UInt8] { magic + [version, status.rawValue, 0, 0] + nonce }
    var bytes: [UInt8] { head + codes }
  }

  /// From the system's cryptographic generator (getrandom(2)).
  static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in generator.next() }
  }
}
