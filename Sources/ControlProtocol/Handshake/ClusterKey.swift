internal import Crypto
package import KVCore

/// The secret that all processes of a fleet share.
package struct ClusterKey: Equatable, Sendable {
  /// Bytes of an HMAC-SHA-256 (RFC 2104, FIPS 180-4).
  package static let codeBytes = 32
  /// The least that RFC 2104 recommends for SHA-256: the length of its output.
  package static let minimumBytes = 32

  let key: SymmetricKey

  /// Throws `invalidArgument` for a key that is too short; the key itself is in no message.
  package init(_ bytes: [UInt8]) throws(BatonError) {
    guard bytes.count >= Self.minimumBytes else {
      throw BatonError(
        .invalidArgument,
        "a cluster key of \(bytes.count) bytes; at least \(Self.minimumBytes) are needed")
    }
    key = SymmetricKey(data: bytes)
  }

  /// The code by which `side` proves that it has the key.
  func code(of side: HandshakeMachine.Side, over transcript: HandshakeTranscript) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: transcript.bytes(provenBy: side), using: key))
  }

  /// Whether `code` is what `side` must have sent; takes the same time whatever its bytes are.
  func accepts(
    _ code: [UInt8], of side: HandshakeMachine.Side, over transcript: HandshakeTranscript
  ) -> Bool {
    HMAC<SHA256>.isValidAuthenticationCode(
      code, authenticating: transcript.bytes(provenBy: side), using: key)
  }
}

/// The keys that are valid at one time: one, or two while a fleet goes from one to the next.
package struct ClusterKeys: Equatable, Sendable {
  package static let maximumKeys = 2

  private let keys: [ClusterKey]

  /// Throws `invalidArgument` unless there are one or two different keys.
  package init(_ keys: [ClusterKey]) throws(BatonError) {
    guard (1...Self.maximumKeys).contains(keys.count), keys.first != keys.dropFirst().first else {
      throw BatonError(
        .invalidArgument,
        "\(keys.count) cluster keys; one is right, or two different ones while they are changed")
    }
    self.keys = keys
  }

  /// Reads a key file: on each line a key of 64 or more hexadecimal digits, as
  /// `openssl rand -hex 32` writes them; empty lines and those that start with `#` say nothing.
  ///
  /// Throws `invalidArgument` that names the line, but none of what is on it.
  package init(text: String) throws(BatonError) {
    var keys: [ClusterKey] = []
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    for (index, line) in lines.enumerated() {
      let digits = line.filter { !$0.isWhitespace }
      guard !digits.isEmpty, !digits.hasPrefix("#") else { continue }
      guard let bytes = Hexadecimal.bytes(digits), bytes.count >= ClusterKey.minimumBytes else {
        throw BatonError(
          .invalidArgument,
          "line \(index + 1) is not a cluster key: at least \(2 * ClusterKey.minimumBytes) "
            + "hexadecimal digits are right, as `openssl rand -hex 32` writes them")
      }
      keys.append(try ClusterKey(bytes))
    }
    try self.init(keys)
  }

  /// What keys for other uses are derived from.
  var derivationInputs: [SymmetricKey] { keys.map(\.key) }

  /// What `side` proves with: a code for each key, as it cannot know which the peer has.
  func proof(of side: HandshakeMachine.Side, over transcript: HandshakeTranscript) -> Proof {
    Proof(codes: keys.map { $0.code(of: side, over: transcript) })
  }

  /// Whether one of the codes is made with one of these keys.
  func accept(
    _ proof: Proof, of side: HandshakeMachine.Side, over transcript: HandshakeTranscript
  ) -> Bool {
    keys.contains { key in
      proof.codes.contains { key.accepts($0, of: side, over: transcript) }
    }
  }
}

/// What both sides have said before the proofs, as it was on the wire.
struct HandshakeTranscript: Hashable, Sendable {
  /// The payloads of the two hellos.
  var initiatorHello: [UInt8]
  var acceptorHello: [UInt8]

  /// What the code of `side` is made over. The labels differ, so that no side's code can be sent
  /// back to it, and the lengths leave one way to read the bytes.
  func bytes(provenBy side: HandshakeMachine.Side) -> [UInt8] {
    var bytes = Array(
      (side == .initiator ? "baton.v1 initiator" : "baton.v1 acceptor").utf8)
    for hello in [initiatorHello, acceptorHello] {
      for shift in stride(from: 0, to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: UInt32(hello.count) >> shift))
      }
      bytes += hello
    }
    return bytes
  }
}
