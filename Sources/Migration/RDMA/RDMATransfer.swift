import CKernels
import KVCore
import Verbs

/// The pieces of one plan on their way over the lanes of a link: which is asked for next, and which
/// have come. Each lane's READs complete in order, so one completion stands for those before it.
struct RDMATransfer {
  private struct LaneState {
    /// Pieces in the order of their posting; those before `completed` have come.
    var posted: [Int] = []
    var completed = 0

    var outstanding: Int { posted.count - completed }
  }

  private let plan: MigrationPlan
  private let number: UInt64
  private let pieces: [MigrationPlan.Read]
  private let sources: RDMASources
  /// Of each piece.
  private let places: [RDMASources.Place]
  private var lanes: [LaneState]
  private var next = 0
  private var isDone: [Bool]
  private(set) var completed = 0
  private(set) var mismatch: BlockMismatch?
  private(set) var isStopped = false

  /// - Parameters:
  ///   - number: tells this read's completions from those of others.
  ///
  /// Throws as `RDMASources.place` does; nothing has been read then.
  init(
    _ plan: MigrationPlan, from sources: RDMASources, number: UInt64, lanes: Int
  ) throws(BatonError) {
    self.plan = plan
    self.number = number
    // Small plans are cut so that every lane has some pieces at once.
    let share = plan.bytes.rawValue / (lanes * MigrationLimits.rdmaPiecesPerLane)
    pieces = plan.pieces(
      of: min(MigrationLimits.rdmaPieceBytes, max(MigrationLimits.rdmaSmallestPieceBytes, share)))
    isDone = Array(repeating: false, count: pieces.count)
    self.lanes = Array(repeating: LaneState(), count: lanes)
    self.sources = sources
    places = try pieces.map { (piece) throws(BatonError) in try sources.place(of: piece) }
  }

  /// Nothing is outstanding and nothing is to come.
  var isIdle: Bool { isIdleOnDevice && (next == pieces.count || isStopped || mismatch != nil) }
  var isIdleOnDevice: Bool { lanes.allSatisfy { $0.outstanding == 0 } }
  var mayStop: Bool { !isStopped && next < pieces.count }

  /// Asks for nothing more.
  mutating func stop() { isStopped = true }

  /// The READs that a lane is given next; nil if it has enough, or there are none.
  func nextChain(on lane: Int) -> [QueuePair.Read]? {
    // Of all that is outstanding or left each lane has its share, so that none is idle.
    let work = pieces.count - next + lanes.reduce(0) { $0 + $1.outstanding }
    let share = min(MigrationLimits.rdmaRequests, (work + lanes.count - 1) / lanes.count)
    let room = min(share - lanes[lane].outstanding, pieces.count - next)
    let count = min(room, QueuePair.chain)
    guard count > 0, room >= min(QueuePair.chain / 2, share / 2, pieces.count - next), !isStopped,
      mismatch == nil
    else { return nil }
    var chain: [QueuePair.Read] = []
    chain.reserveCapacity(count)
    for place in 0..<count {
      let piece = pieces[next + place]
      let keys = sources.keys(of: places[next + place], lane: lane)
      let sequence = lanes[lane].posted.count + place
      chain.append(
        QueuePair.Read(
          id: number << 40 | UInt64(lane) << 32 | UInt64(sequence),
          localAddress: piece.targetAddress, remoteAddress: places[next + place].address,
          length: piece.length, localKey: keys.local, remoteKey: keys.remote,
          isSignalled: place == count - 1 || place % MigrationLimits.rdmaSignalEvery == 0))
    }
    return chain
  }

  /// The device has taken so many of the last chain.
  mutating func note(posted: Int, of count: Int, on lane: Int) {
    lanes[lane].posted += next..<next + posted
    next += posted
  }

  /// Notes a completion: those before it on its lane have come, too. One of another read is passed
  /// over.
  mutating func complete(_ completion: CompletionQueue.Completion) {
    guard completion.id >> 40 == number else { return }
    let lane = Int(completion.id >> 32 & 0xFF)
    let sequence = Int(completion.id & 0xFFFF_FFFF)
    guard lanes.indices.contains(lane), sequence < lanes[lane].posted.count else { return }
    while lanes[lane].completed <= sequence {
      let piece = lanes[lane].posted[lanes[lane].completed]
      lanes[lane].completed += 1
      completed += 1
      // Of a failed one nothing is known of those before it that had no completion of their own.
      if completion.isSuccess { finish(piece) }
    }
  }

  private mutating func finish(_ place: Int) {
    isDone[place] = true
    guard let checks = plan.checks, mismatch == nil else { return }
    let piece = pieces[place]
    for block in 0..<piece.length / checks.blockBytes {
      let start = piece.targetAddress + UInt(block * checks.blockBytes)
      guard let bytes = unsafe UnsafeRawPointer(bitPattern: start) else {
        preconditionFailure("memory does not start at address 0")
      }
      let found = unsafe ck_checksum(ck_fastest_path(), bytes, checks.blockBytes)
      let position = piece.firstCheck + block
      if found != checks.checksums[position] {
        mismatch = BlockMismatch(position: position, found: found)
        return
      }
    }
  }

  /// What has not come, or not wholly.
  var missing: MigrationPlan {
    plan.keeping(pieces.indices.filter { !isDone[$0] }.map { pieces[$0] })
  }
}
