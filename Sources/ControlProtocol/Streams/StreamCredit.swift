package import KVCore

/// How much of its answers one side of a stream may send before the other has taken some.
///
/// Counted are the bytes of whole messages, not compressed, with 24 for the header of each. A
/// message may begin while there is any credit and may take more than there is, so that one of any
/// size gets through: `outstanding < window + largest message`, always.
package enum StreamCredit {
  /// What a stream starts with.
  package static let window = 64 << 10

  /// What a message of `payloadBytes` takes.
  package static func cost(payloadBytes: Int) -> Int { 24 + payloadBytes }
}

/// The credit of a stream at the side that answers.
package struct SendCredit: Hashable, Sendable {
  /// Below zero after a message that was larger than the rest.
  private var available = StreamCredit.window

  package init() {}

  /// Whether the next message may begin.
  package var mayBegin: Bool { available > 0 }

  /// A message of this cost has begun.
  package mutating func spend(_ cost: Int) { available -= cost }

  /// The other side has taken `bytes`.
  ///
  /// Throws `protocolViolation` for more than was ever sent.
  package mutating func grant(_ bytes: UInt32) throws(BatonError) {
    guard available + Int(bytes) <= StreamCredit.window else {
      throw BatonError(
        .protocolViolation,
        "a credit of \(bytes) bytes gives back more than was sent: "
          + "\(StreamCredit.window - available) bytes are outstanding")
    }
    available += Int(bytes)
  }
}

/// The credit of a stream at the side that asked.
package struct ReceiveCredit: Hashable, Sendable {
  /// What has come and was not given back as credit.
  private var outstanding = 0
  /// The part of `outstanding` that is taken already.
  private var taken = 0

  package init() {}

  /// A message of this cost has come.
  ///
  /// Throws `protocolViolation` when it began without credit.
  package mutating func receive(_ cost: Int) throws(BatonError) {
    guard outstanding < StreamCredit.window else {
      throw BatonError(
        .protocolViolation,
        "an answer came without credit: \(outstanding) bytes of the stream are outstanding, and "
          + "\(StreamCredit.window) are granted")
    }
    outstanding += cost
  }

  /// The reader has taken a message of this cost; returns the credit to be sent now, if any. It is
  /// sent in halves of the window, so that few frames say it.
  package mutating func take(_ cost: Int) -> UInt32? {
    taken += cost
    guard taken >= StreamCredit.window / 2 else { return nil }
    defer { taken = 0 }
    outstanding -= taken
    return UInt32(clamping: taken)
  }
}
