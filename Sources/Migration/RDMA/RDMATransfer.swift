import CKernels
import ControlProtocol
import KVCore
import Verbs

/// The pieces of one plan after another on their way over the lanes of a link: which is asked for
/// next, and which have come. Each lane's READs complete in order, so one completion stands for
/// those before it.
struct RDMATransfer {
  private struct Piece {
    let read: MigrationPlan.Read
    let place: RDMASources.Place
    /// The place in `pieces` of what its lane was given after it.
    var following = 0
    var isDone = false
  }

  private struct LaneState {
    /// READs in the order of their posting; those before `completed` have come.
    var posted = 0
    var completed = 0
    /// The places in `pieces` of the oldest that has not come and of the last posted, where any is
    /// outstanding.
    var oldest = 0
    var newest = 0

    var outstanding: Int { posted - completed }
  }

  private var sources: RDMASources
  private var lanes: [LaneState]
  /// Of the plan that is read, or was last: a short one costs no memory of its own.
  private var pieces: [Piece] = []
  private var checks: BlockChecks?
  /// Tells the plan's completions from those of others; 24 bits.
  private var number: UInt64 = 0
  private var next = 0
  private(set) var completed = 0
  private(set) var mismatch: BlockMismatch?
  private(set) var isStopped = false

  init(from sources: RDMASources, lanes: Int) {
    self.sources = sources
    self.lanes = Array(repeating: LaneState(), count: lanes)
  }

  /// Begins with another plan, nothing of the last being outstanding.
  ///
  /// - Parameter windows: what of the peer's memory is granted.
  ///
  /// Throws as `RDMASources.place` does; nothing has been read then.
  mutating func begin(_ plan: MigrationPlan, under windows: [RDMAWindow]) throws(BatonError) {
    number = (number + 1) & 0xFF_FFFF
    checks = plan.checks
    (next, completed, mismatch, isStopped) = (0, 0, nil, false)
    for lane in lanes.indices { lanes[lane] = LaneState() }
    pieces.removeAll(keepingCapacity: pieces.count <= MigrationLimits.rdmaPiecesKept)
    sources.windows = windows
    // Small plans are cut so that every lane has some pieces at once.
    let share = plan.bytes.rawValue / (lanes.count * MigrationLimits.rdmaPiecesPerLane)
    let length = min(
      MigrationLimits.rdmaPieceBytes, max(MigrationLimits.rdmaSmallestPieceBytes, share))
    try plan.forEachPiece(of: length) { (piece) throws(BatonError) in
      var rest = piece
      while rest.length > 0 { try append(&rest) }
    }
  }

  /// Takes as much of `rest` as one READ can bring: all, but where a window or a target ends.
  private mutating func append(_ rest: inout MigrationPlan.Read) throws(BatonError) {
    let place = try sources.place(of: rest)
    let unit = checks?.blockBytes ?? 1
    guard place.length == rest.length || place.length >= unit && place.length % unit == 0 else {
      throw BatonError(
        .invalidArgument,
        "a block at \(rest.sourceOffset + place.length / unit * unit) of region \(rest.region) is "
          + "granted or registered in parts")
    }
    pieces.append(Piece(read: rest.prefix(place.length), place: place))
    rest = rest.dropFirst(place.length, blockBytes: unit)
  }

  /// Nothing is outstanding and nothing is to come.
  var isIdle: Bool { isIdleOnDevice && (next == pieces.count || isStopped || mismatch != nil) }
  var isIdleOnDevice: Bool { lanes.allSatisfy { $0.outstanding == 0 } }
  var mayStop: Bool { !isStopped && next < pieces.count }

  /// Asks for nothing more.
  mutating func stop() { isStopped = true }

  /// Gives a lane the READs that it should have next, with one doorbell. False if it has enough, or
  /// there are none.
  ///
  /// Throws what the device refuses them with.
  mutating func post(on lane: Int, to pair: borrowing QueuePair) throws(BatonError) -> Bool {
    let left = pieces.count - next
    guard left > 0, !isStopped, mismatch == nil else { return false }
    // Of all that is outstanding or left each lane has its share, so that none is idle.
    let work = left + lanes.reduce(0) { $0 + $1.outstanding }
    let share = min(MigrationLimits.rdmaRequests, (work + lanes.count - 1) / lanes.count)
    let room = min(share - lanes[lane].outstanding, left)
    guard room > 0, room >= min(QueuePair.chain / 2, share / 2, left) else { return false }
    let count = min(room, QueuePair.chain)
    let firstID = number << 40 | UInt64(lane) << 32 | UInt64(lanes[lane].posted)
    let (posted, error) = pair.post(count) { place in
      let piece = pieces[next + place]
      let keys = sources.keys(of: piece.place, lane: lane)
      return QueuePair.Read(
        id: firstID + UInt64(place), localAddress: piece.read.targetAddress,
        remoteAddress: piece.place.address, length: piece.read.length, localKey: keys.local,
        remoteKey: keys.remote,
        isSignalled: place == count - 1 || place % MigrationLimits.rdmaSignalEvery == 0)
    }
    for _ in 0..<posted {
      if lanes[lane].outstanding == 0 {
        lanes[lane].oldest = next
      } else {
        pieces[lanes[lane].newest].following = next
      }
      lanes[lane].newest = next
      lanes[lane].posted += 1
      next += 1
    }
    if let error { throw error }
    return true
  }

  /// Notes a completion: those before it on its lane have come, too. One of another read is passed
  /// over.
  mutating func complete(_ completion: CompletionQueue.Completion) {
    guard completion.id >> 40 == number else { return }
    let lane = Int(completion.id >> 32 & 0xFF)
    let sequence = Int(completion.id & 0xFFFF_FFFF)
    guard lanes.indices.contains(lane), sequence < lanes[lane].posted else { return }
    while lanes[lane].completed <= sequence {
      let place = lanes[lane].oldest
      lanes[lane].oldest = pieces[place].following
      lanes[lane].completed += 1
      completed += 1
      // Of a failed one nothing is known of those before it that had no completion of their own.
      if completion.isSuccess { finish(place) }
    }
  }

  private mutating func finish(_ place: Int) {
    pieces[place].isDone = true
    guard let checks, mismatch == nil else { return }
    let read = pieces[place].read
    for block in 0..<read.length / checks.blockBytes {
      let start = read.targetAddress + UInt(block * checks.blockBytes)
      guard let bytes = unsafe UnsafeRawPointer(bitPattern: start) else {
        preconditionFailure("memory does not start at address 0")
      }
      let found = unsafe ck_checksum(ck_fastest_path(), bytes, checks.blockBytes)
      let position = read.firstCheck + block
      if found != checks.checksums[position] {
        mismatch = BlockMismatch(position: position, found: found)
        return
      }
    }
  }

  /// What of the plan has not come, or not wholly.
  func missing(of plan: MigrationPlan) -> MigrationPlan {
    plan.keeping(pieces.lazy.filter { !$0.isDone }.map(\.read))
  }
}
