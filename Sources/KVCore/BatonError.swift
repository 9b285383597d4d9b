/// Why something failed: the closed list of `baton.v1.ErrorCode`, whose numbers these are.
package enum ErrorCode: UInt16, Sendable, CaseIterable, CustomStringConvertible {
  case invalidArgument = 1
  case unauthenticated = 2
  case incompatible = 3
  case unimplemented = 4
  case malformedFrame = 5
  case protocolViolation = 6
  case resourceExhausted = 7
  case cancelled = 8
  case deadlineExceeded = 9
  case unavailable = 10
  case internalError = 11
  case ticketUnknown = 12
  case ticketClaimed = 13
  case leaseExpired = 14
  case staleBlock = 15
  case checksumMismatch = 16
  case deviceError = 17
  case peerGone = 18

  /// The name in the .proto, in upper snake case, as logs and metrics show it.
  package var description: String {
    switch self {
    case .invalidArgument: "INVALID_ARGUMENT"
    case .unauthenticated: "UNAUTHENTICATED"
    case .incompatible: "INCOMPATIBLE"
    case .unimplemented: "UNIMPLEMENTED"
    case .malformedFrame: "MALFORMED_FRAME"
    case .protocolViolation: "PROTOCOL_VIOLATION"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .cancelled: "CANCELLED"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .unavailable: "UNAVAILABLE"
    case .internalError: "INTERNAL"
    case .ticketUnknown: "TICKET_UNKNOWN"
    case .ticketClaimed: "TICKET_CLAIMED"
    case .leaseExpired: "LEASE_EXPIRED"
    case .staleBlock: "STALE_BLOCK"
    case .checksumMismatch: "CHECKSUM_MISMATCH"
    case .deviceError: "DEVICE_ERROR"
    case .peerGone: "PEER_GONE"
    }
  }

  /// Whether the same request may succeed elsewhere or later without a change.
  package var isRetryable: Bool {
    switch self {
    case .resourceExhausted, .deadlineExceeded, .unavailable, .ticketUnknown, .leaseExpired,
      .staleBlock, .checksumMismatch, .deviceError, .peerGone:
      true
    case .invalidArgument, .unauthenticated, .incompatible, .unimplemented, .malformedFrame,
      .protocolViolation, .cancelled, .internalError, .ticketClaimed:
      false
    }
  }
}

/// The one error type that crosses module and process borders.
package struct BatonError: Error, Hashable, Sendable, CustomStringConvertible {
  package let code: ErrorCode
  /// A sentence for people: what was being done to what, what was wrong and what would be right.
  package let message: String
  package let isRetryable: Bool
  /// When a retry makes sense, for `Retry-After`; nil where nothing is known.
  package let retryAfterMilliseconds: UInt32?

  package init(
    _ code: ErrorCode, _ message: String, isRetryable: Bool? = nil,
    retryAfterMilliseconds: UInt32? = nil
  ) {
    self.code = code
    self.message = message
    self.isRetryable = isRetryable ?? code.isRetryable
    self.retryAfterMilliseconds = retryAfterMilliseconds
  }

  package var description: String { "\(code): \(message)" }

  /// `error` itself, or an `internalError` that says what it was.
  package init(wrapping error: any Error) {
    switch error {
    case let error as BatonError: self = error
    case is CancellationError: self.init(.cancelled, "the caller cancelled the request")
    default: self.init(.internalError, "\(error)")
    }
  }
}
