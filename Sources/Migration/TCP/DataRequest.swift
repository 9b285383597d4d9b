import KVCore

/// One request on a data connection: a ticket, and the extents that are wanted under it. The answer
/// is `DataAnswer`, then the bytes of the extents in their order.
///
/// | offset | |
/// |---|---|
/// | 0 | u64 number, which the answer repeats |
/// | 8 | ticket: u64 high, u64 low |
/// | 24 | u32 count of extents |
/// | 28 | u32 0 |
/// | 32 + 16 i | u32 region, u32 length, u64 offset in the region |
enum DataRequest {
  static let headBytes = 32
  static let extentBytes = 16
  static let maximumBytes = headBytes + MigrationLimits.maximumRequestExtents * extentBytes

  static func byteCount(extents: Int) -> Int { headBytes + extents * extentBytes }

  struct Head: Hashable, Sendable {
    var number: UInt64
    var ticket: TicketID
    var extents: Int
  }

  static func write(_ head: Head, into buffer: inout WireBuffer) {
    buffer.store(head.number, at: 0)
    buffer.store(head.ticket.high, at: 8)
    buffer.store(head.ticket.low, at: 16)
    buffer.store(UInt32(head.extents), at: 24)
    buffer.store(UInt32(0), at: 28)
  }

  static func write(_ extent: RegionExtent, at place: Int, into buffer: inout WireBuffer) {
    let start = headBytes + place * extentBytes
    buffer.store(extent.region.rawValue, at: start)
    buffer.store(UInt32(extent.length), at: start + 4)
    buffer.store(UInt64(extent.offset), at: start + 8)
  }

  /// Throws `protocolViolation` for a head that cannot be.
  static func head(in buffer: borrowing WireBuffer) throws(BatonError) -> Head {
    let count: UInt32 = buffer.load(at: 24)
    guard (1...UInt32(MigrationLimits.maximumRequestExtents)).contains(count),
      buffer.load(at: 28, as: UInt32.self) == 0
    else {
      throw BatonError(
        .protocolViolation,
        "a request for \(count) extents; 1 to \(MigrationLimits.maximumRequestExtents) are allowed")
    }
    return Head(
      number: buffer.load(at: 0),
      ticket: TicketID(high: buffer.load(at: 8), low: buffer.load(at: 16)), extents: Int(count))
  }

  /// Throws `protocolViolation` for an extent that no region can have.
  static func extent(at place: Int, in buffer: borrowing WireBuffer) throws(BatonError)
    -> RegionExtent
  {
    let start = headBytes + place * extentBytes
    let offset: UInt64 = buffer.load(at: start + 8)
    let length: UInt32 = buffer.load(at: start + 4)
    guard offset <= UInt64(Int.max / 2), length > 0 else {
      throw BatonError(.protocolViolation, "an extent of \(length) bytes at \(offset)")
    }
    return RegionExtent(
      region: RegionKey(buffer.load(at: start)), offset: Int(offset), length: Int(length))
  }
}

/// What comes before the bytes that a request asked for. After a refusal the owner closes the
/// connection.
///
/// | offset | |
/// |---|---|
/// | 0 | u64 number of the request |
/// | 8 | u32 0, or the code of the error in place of the bytes |
/// | 12 | u32 0 |
enum DataAnswer {
  static let byteCount = 16

  static func write(number: UInt64, code: ErrorCode?, into buffer: inout WireBuffer) {
    buffer.store(number, at: 0)
    buffer.store(UInt32(code?.rawValue ?? 0), at: 8)
    buffer.store(UInt32(0), at: 12)
  }

  static func number(in buffer: borrowing WireBuffer) -> UInt64 { buffer.load(at: 0) }

  /// The refusal, if it is one.
  static func code(in buffer: borrowing WireBuffer) -> ErrorCode? {
    let code: UInt32 = buffer.load(at: 8)
    return code == 0 ? nil : ErrorCode(rawValue: UInt16(truncatingIfNeeded: code)) ?? .internalError
  }
}
