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
    var places = transfer.units[unit]
    let batchBytes = transfer.plan.checks == nil ? Int.max : MigrationLimits.hashedBytes
    answer.store(UInt64.max, at: 0)
    answer.store(UInt64(0), at: 8)
    parts.append(address: answer.address, length: DataAnswer.byteCount)
    var isFirst = true
    while !places.isEmpty {
      var bytes = 0
      var end = places.lowerBound
      while end < places.upperBound, bytes < batchBytes {
        let piece = transfer.pieces[end]
        parts.append(address: piece.targetAddress, length: piece.length)
        bytes += piece.length
        end += 1
      }
      do throws(BatonError) {
        try socket.receive(into: &parts)
      } catch {
        try checkAnswer(to: unit, elseThrowing: error)
      }
      if isFirst { try checkAnswer(to: unit, elseThrowing: nil) }
      isFirst = false
      verify(places.lowerBound..<end)
      places = end..<places.upperBound
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

  private func verify(_ places: Range<Int>) {
    guard let checks = transfer.plan.checks else { return }
    for piece in transfer.pieces[places] {
      for block in 0..<piece.length / checks.blockBytes {
        let start = piece.targetAddress + UInt(block * checks.blockBytes)
        guard let bytes = unsafe UnsafeRawPointer(bitPattern: start) else {
          preconditionFailure("memory does not start at address 0")
        }
        let found = unsafe ck_checksum(ck_fastest_path(), bytes, checks.blockBytes)
        let position = piece.firstCheck + block
        if found != checks.checksums[position] {
          transfer.fail(BlockMismatch(position: position, found: found))
          return
        }
      }
    }
  }
}
