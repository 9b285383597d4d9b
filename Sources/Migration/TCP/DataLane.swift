import CKernels
import ControlProtocol
import KVCore
import Platform
import Synchronization

/// One data connection of a link, at the reader: opened when it is needed, again after it was lost.
final class DataLane: Sendable {
  private let opener: DataOpener
  /// Nil while there is none.
  private let current = Mutex<DataSocket?>(nil)

  init(opener: DataOpener) { self.opener = opener }

  /// Opens the connection if there is none. Blocks, for a bounded time.
  func open() throws(BatonError) -> DataSocket {
    if let socket = current.withLock({ $0 }) { return socket }
    let socket = try opener.open()
    current.withLock { $0 = socket }
    return socket
  }

  /// Ends the connection, for whoever uses it too.
  func drop() {
    let socket = current.withLock { $0.take() }
    socket?.shutDown()
  }

  /// Brings units of `transfer` until there are none. One thread at a time may call this.
  ///
  /// Returns why the connection was lost, if it was; it will be opened anew.
  func run(_ transfer: TCPTransfer) -> BatonError? {
    var reader = LaneReader(transfer: transfer)
    do throws(BatonError) {
      let socket = try open()
      try reader.run(on: socket.socket)
      return nil
    } catch {
      drop()
      transfer.giveBack(reader.inFlight)
      return error
    }
  }
}

/// One lane's part of one transfer.
private struct LaneReader: ~Copyable {
  private let transfer: TCPTransfer
  /// Asked for and not come, in order.
  private(set) var inFlight: [Int] = []
  private var request: WireBuffer
  private var answer = WireBuffer(count: DataAnswer.byteCount)
  private var parts: MemoryParts
  /// Of a block that comes in several batches.
  private var hash = ck_checksum_begin()

  init(transfer: TCPTransfer) {
    self.transfer = transfer
    let extents = transfer.units.reduce(0) { max($0, $1.count) }
    request = WireBuffer(count: DataRequest.byteCount(extents: extents))
    parts = MemoryParts(capacity: 1 + extents)
  }

  mutating func run(on socket: borrowing TCPSocket) throws(BatonError) {
    while true {
      while inFlight.count < MigrationLimits.requestsInFlight, let unit = transfer.take() {
        inFlight.append(unit)
        try ask(for: unit, on: socket)
      }
      guard let unit = inFlight.first else { return }
      try receive(unit, on: socket)
      inFlight.removeFirst()
      transfer.finish(unit)
    }
  }

  private mutating func ask(
    for unit: Int, on socket: borrowing TCPSocket
  ) throws(BatonError) {
    let places = transfer.units[unit]
    DataRequest.write(
      DataRequest.Head(
        number: UInt64(unit), ticket: transfer.ticket, extents: places.count), into: &request)
    for (place, piece) in transfer.pieces[places].enumerated() {
      DataRequest.write(
        RegionExtent(region: piece.region, offset: piece.sourceOffset, length: piece.length),
        at: place, into: &request)
    }
    parts.append(
      address: request.address, length: DataRequest.byteCount(extents: places.count))
    try socket.send(&parts)
  }

  /// Receives a unit straight into its place, in batches that are still in the core's cache when
  /// they are hashed.
  private mutating func receive(
    _ unit: Int, on socket: borrowing TCPSocket
  ) throws(BatonError) {
    // What would be taken for a refusal, or for another answer, before the answer is there.
    answer.store(UInt64.max, at: 0)
    answer.store(UInt64(0), at: 8)
    parts.append(address: answer.address, length: DataAnswer.byteCount)
    var place = (piece: transfer.units[unit].lowerBound, offset: 0)
    let end = transfer.units[unit].upperBound
    var isFirst = true
    while place.piece < end {
      let start = place
      var room = transfer.plan.checks == nil ? Int.max : MigrationLimits.hashedBytes
      while place.piece < end, room > 0 {
        let piece = transfer.pieces[place.piece]
        let length = min(room, piece.length - place.offset)
        parts.append(address: piece.targetAddress + UInt(place.offset), length: length)
        room -= length
        place.offset += length
        if place.offset == piece.length { place = (place.piece + 1, 0) }
      }
      do throws(BatonError) {
        try socket.receive(into: &parts)
      } catch {
        try checkAnswer(to: unit, elseThrowing: error)
      }
      if isFirst { try checkAnswer(to: unit, elseThrowing: nil) }
      isFirst = false
      verify(from: start, to: place)
    }
  }

  /// Throws the owner's refusal, which came in place of the bytes, or `error`.
  private func checkAnswer(
    to unit: Int, elseThrowing error: BatonError?
  ) throws(BatonError) {
    if let code = DataAnswer.code(in: answer) {
      let refusal = BatonError(
        code, "the owner of ticket \(transfer.ticket) refuses to send its blocks: \(code)")
      transfer.refuse(refusal)
      throw refusal
    }
    if let error { throw error }
    let number = DataAnswer.number(in: answer)
    guard number == UInt64(unit) else {
      throw BatonError(.protocolViolation, "an answer to request \(number); expected \(unit)")
    }
  }

  /// Hashes what has come from one place in the pieces to another; a block that is not whole yet
  /// is gone on with the next time.
  private mutating func verify(
    from start: (piece: Int, offset: Int), to end: (piece: Int, offset: Int)
  ) {
    guard let checks = transfer.plan.checks else { return }
    var (index, offset) = start
    while (index, offset) < end {
      let piece = transfer.pieces[index]
      let stop = index == end.piece ? end.offset : piece.length
      while offset < stop {
        let (block, used) = offset.quotientAndRemainder(dividingBy: checks.blockBytes)
        let length = min(checks.blockBytes - used, stop - offset)
        guard
          let bytes = unsafe UnsafeRawPointer(bitPattern: piece.targetAddress + UInt(offset))
        else { preconditionFailure("memory does not start at address 0") }
        offset += length
        let found: UInt64
        if length == checks.blockBytes {
          found = unsafe ck_checksum(ck_fastest_path(), bytes, length)
        } else {
          if used == 0 { hash = ck_checksum_begin() }
          unsafe ck_checksum_feed(ck_fastest_path(), &hash, bytes, length)
          guard used + length == checks.blockBytes else { continue }
          found = unsafe ck_checksum_finish(ck_fastest_path(), &hash)
        }
        let position = piece.firstCheck + block
        if found != checks.checksums[position] {
          transfer.fail(BlockMismatch(position: position, found: found))
        }
      }
      (index, offset) = (index + 1, 0)
    }
  }
}
