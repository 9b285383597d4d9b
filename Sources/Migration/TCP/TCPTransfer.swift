import KVCore
import Synchronization

/// The pieces of one plan on their way, shared by the connections that bring them.
///
/// Pieces are asked for in units of about `MigrationLimits.requestBytes`; a connection takes the
/// next unit when it has room, so a slow one has less to do, and what a lost one leaves others
/// bring.
final class TCPTransfer: Sendable {
  private struct State: Sendable {
    var next = 0
    /// Units that a lost connection has left.
    var returned: [Int] = []
    var isDone: [Bool]
    var doneCount = 0
    var mismatch: BlockMismatch?
    /// Why no connection need go on.
    var refusal: BatonError?
  }

  let plan: MigrationPlan
  let ticket: TicketID
  let pieces: [MigrationPlan.Read]
  /// Places in `pieces`.
  let units: [Range<Int>]
  private let cancellation: MigrationCancellation?
  private let state: Mutex<State>

  init(_ plan: MigrationPlan, ticket: TicketID, cancellation: MigrationCancellation?) {
    self.plan = plan
    self.ticket = ticket
    self.cancellation = cancellation
    pieces = plan.pieces(of: MigrationLimits.requestBytes)
    units = Self.units(of: pieces)
    state = Mutex(State(isDone: Array(repeating: false, count: units.count)))
  }

  private static func units(of pieces: [MigrationPlan.Read]) -> [Range<Int>] {
    var units: [Range<Int>] = []
    var start = 0
    var bytes = 0
    for (place, piece) in pieces.enumerated() {
      if place > start,
        bytes + piece.length > MigrationLimits.requestBytes
          || place - start == MigrationLimits.maximumRequestExtents
      {
        units.append(start..<place)
        (start, bytes) = (place, 0)
      }
      bytes += piece.length
    }
    if start < pieces.count { units.append(start..<pieces.count) }
    return units
  }

  /// The next unit to ask for, or nil: there is none, or nobody wants more.
  func take() -> Int? {
    let isCancelled = cancellation?.isCancelled ?? false
    return state.withLock { state in
      if isCancelled, state.refusal == nil {
        state.refusal = BatonError(.cancelled, "the migration was cancelled")
      }
      guard state.refusal == nil, state.mismatch == nil else { return nil }
      if let unit = state.returned.popLast() { return unit }
      guard state.next < units.count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  func finish(_ unit: Int) {
    state.withLock { state in
      state.isDone[unit] = true
      state.doneCount += 1
    }
  }

  /// Units that were taken and have not come.
  func giveBack(_ units: [Int]) {
    state.withLock { $0.returned += units.reversed() }
  }

  func refuse(_ error: BatonError) {
    state.withLock { $0.refusal = $0.refusal ?? error }
  }

  func fail(_ mismatch: BlockMismatch) {
    state.withLock { $0.mismatch = $0.mismatch ?? mismatch }
  }

  var doneCount: Int { state.withLock(\.doneCount) }

  /// What it has come to, once no connection works on it; nil if more can be had.
  var result: ReadResult? {
    let (mismatch, refusal, isComplete) = state.withLock {
      ($0.mismatch, $0.refusal, $0.doneCount == units.count)
    }
    if let mismatch { return .mismatch(mismatch) }
    if isComplete { return .complete }
    return refusal.map { .failed($0, missing: missing) }
  }

  /// What has not come, or not wholly.
  var missing: MigrationPlan {
    let isDone = state.withLock(\.isDone)
    return plan.keeping(units.indices.filter { !isDone[$0] }.flatMap { pieces[units[$0]] })
  }
}
