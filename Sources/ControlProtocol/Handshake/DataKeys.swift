internal import Crypto
package import KVCore

/// What both sides of a link prove on its data connections: keys of this link alone, derived from
/// the cluster keys and from a salt that travels on the control connection.
///
/// Without cluster keys the salt alone is the secret; it then never leaves the machine.
package struct DataKeys: Sendable {
  package enum Side: String, Sendable {
    /// Who reads, and connects.
    case reader
    /// Whose memory is read.
    case owner
  }

  package static let codeBytes = 32
  package static let saltBytes = 32
  /// One for each cluster key, as in `Proof`; a place that is not used has zeros.
  package static let maximumCodes = ClusterKeys.maximumKeys

  private let keys: [SymmetricKey]

  /// - Parameter salt: random, of one link's set-up.
  package init(clusterKeys: ClusterKeys?, salt: [UInt8], link: LinkID) {
    // HKDF-SHA-256 (RFC 5869). The label keeps these keys apart from whatever else is derived.
    let info = Array("baton.v1 data".utf8) + Self.bytes(link.rawValue)
    let inputs = clusterKeys?.derivationInputs ?? [SymmetricKey(data: salt)]
    keys = inputs.map { input in
      HKDF<SHA256>.deriveKey(
        inputKeyMaterial: input, salt: salt, info: info, outputByteCount: Self.codeBytes)
    }
  }

  /// By which `side` proves that it may use the link: `maximumCodes` codes over what both have
  /// said on the connection, one after the other.
  package func codes(of side: Side, over transcript: [UInt8]) -> [UInt8] {
    var codes = keys.flatMap { key in
      Array(HMAC<SHA256>.authenticationCode(for: Self.labelled(transcript, side), using: key))
    }
    codes += Array(repeating: 0, count: Self.maximumCodes * Self.codeBytes - codes.count)
    return codes
  }

  /// Whether one of `codes` is made with one of these keys; each is compared in constant time.
  package func accept(_ codes: [UInt8], of side: Side, over transcript: [UInt8]) -> Bool {
    let message = Self.labelled(transcript, side)
    var isAccepted = false
    for start in stride(from: 0, to: codes.count, by: Self.codeBytes) {
      let code = codes[start..<min(start + Self.codeBytes, codes.count)]
      for key in keys
      where HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message, using: key) {
        isAccepted = true
      }
    }
    return isAccepted
  }

  /// The label comes first, so that no side's code can be sent back to it.
  private static func labelled(_ transcript: [UInt8], _ side: Side) -> [UInt8] {
    Array("baton.v1 data \(side.rawValue)".utf8) + transcript
  }

  private static func bytes(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }
}
