import ControlProtocol
import KVCore
import Synchronization
import Verbs

/// A peer's regions over queue pairs of this link's own.
final class RDMAConnection: TransportConnection {
  /// A lane with what its READs need.
  struct Lane: Sendable {
    let pair: RDMALanes.Lane
    /// This side's port.
    let port: RDMAHardware.Port
    /// The place of the peer's port in its endpoint.
    let peerPort: Int
  }

  let regions: [RegionKey: ByteCount]
  private let peer: LinkPeer
  private let lanes: RDMALanes
  private let used: [Lane]
  private let timeoutMilliseconds: UInt32
  private let isBroken = Atomic(false)
  /// Held while a plan is read: completions are those of one.
  private let reading: Mutex<RDMATransfer>

  /// The queue pairs are connected; some bytes of the peer's are read over each of them, which
  /// proves that it can be reached. Blocks, for a bounded time.
  ///
  /// Throws `invalidArgument` for regions that cannot be, and what the first READ fails with.
  init(
    peer: LinkPeer, lanes: RDMALanes, used count: Int, endpoint: RDMAEndpoint,
    targets: [RDMARegistration], timeoutMilliseconds: UInt32
  ) throws(BatonError) {
    var lengths: [RegionKey: ByteCount] = [:]
    for region in endpoint.regions {
      guard region.length > .zero,
        region.address <= UInt64.max - UInt64(region.length.rawValue),
        lengths.updateValue(region.length, forKey: region.key) == nil,
        lengths.count <= MigrationLimits.maximumRegions
      else {
        throw BatonError(
          .invalidArgument, "\(peer.engine) offers a region \(region.key) that cannot be")
      }
    }
    regions = lengths
    self.peer = peer
    self.lanes = lanes
    self.timeoutMilliseconds = timeoutMilliseconds
    let used = zip(lanes.lanes, endpoint.lanes).prefix(count).map { lane, theirs in
      Lane(pair: lane, port: lanes.ports[lane.port], peerPort: theirs.port)
    }
    self.used = used
    let targets = targets.flatMap { $0.targets(on: used.map(\.port)) }
    reading = Mutex(
      RDMATransfer(
        from: RDMASources(regions: endpoint.regions, targets: targets), lanes: used.count))
    do throws(BatonError) {
      guard let proof = endpoint.proof, proof.remoteKeys.count == endpoint.ports.count else {
        throw BatonError(.invalidArgument, "\(peer.engine) offers no bytes to try its lanes with")
      }
      try prove(with: proof)
    } catch {
      lanes.fail()
      throw error
    }
  }

  func read(
    _ plan: MigrationPlan, under grant: ReadGrant?, cancellation: MigrationCancellation?
  ) -> ReadResult {
    let windows = grant?.windows ?? []
    guard windows.allSatisfy({ $0.remoteKeys.count == used.count }) else {
      return .failed(
        BatonError(
          .protocolViolation, "\(peer.engine) tells windows for other than \(used.count) lanes"),
        missing: plan)
    }
    return reading.withLock { transfer in
      guard !isBroken.load(ordering: .relaxed) else {
        return .failed(
          BatonError(.unavailable, "the queue pairs to \(peer.engine) have failed"), missing: plan)
      }
      do throws(BatonError) {
        try transfer.begin(plan, under: windows)
      } catch {
        return .failed(error, missing: plan)
      }
      do throws(BatonError) {
        try run(&transfer, cancellation: cancellation)
      } catch {
        // Nobody may use the targets before the device has let go of them.
        isBroken.store(true, ordering: .relaxed)
        lanes.fail()
        drain(&transfer)
        return .failed(error, missing: transfer.missing(of: plan))
      }
      if let mismatch = transfer.mismatch { return .mismatch(mismatch) }
      // All that was asked for has come, so the queue pairs are as good as before.
      if transfer.isStopped {
        return .failed(
          BatonError(.cancelled, "the migration was cancelled"), missing: transfer.missing(of: plan)
        )
      }
      return .complete
    }
  }

  func close() {
    isBroken.store(true, ordering: .relaxed)
    // Wakes who reads: what is outstanding comes back flushed.
    lanes.fail()
  }

  deinit { lanes.fail() }

  // MARK: Reading

  private func run(
    _ transfer: inout RDMATransfer, cancellation: MigrationCancellation?
  ) throws(BatonError) {
    while true {
      if cancellation?.isCancelled == true, transfer.mayStop { transfer.stop() }
      for place in used.indices {
        while try transfer.post(on: place, to: used[place].pair.pair) {}
      }
      if transfer.isIdle { break }
      try takeNext(&transfer)
    }
  }

  /// Takes what has come, once something has.
  private func takeNext(_ transfer: inout RDMATransfer) throws(BatonError) {
    let before = transfer.completed
    // A READ that is answered at once costs neither a sleep nor a look at the clock.
    for _ in 0..<MigrationLimits.rdmaPolls {
      try take(&transfer, looks: lanes.completions.count == 1 ? MigrationLimits.rdmaLooks : 1)
      if transfer.completed > before { return }
    }
    let end = ContinuousClock.now + .milliseconds(Int(timeoutMilliseconds))
    while ContinuousClock.now < end {
      try sleep(&transfer)
      try take(&transfer)
      if transfer.completed > before { return }
    }
    throw BatonError(
      .deadlineExceeded, "no READ from \(peer.engine) came back for \(timeoutMilliseconds) ms")
  }

  /// Takes what is there.
  private func take(_ transfer: inout RDMATransfer, looks: Int = 1) throws(BatonError) {
    var failure: BatonError?
    for queue in lanes.completions {
      _ = try queue.poll(looks: looks) { completion in
        if !completion.isSuccess, failure == nil || !completion.isFlushed {
          failure = BatonError(
            completion: completion.status, subject: "the memory of \(peer.engine)")
        }
        transfer.complete(completion)
      }
    }
    if let failure { throw failure }
  }

  /// Waits for a completion on each queue in turn, for as long as may be.
  private func sleep(_ transfer: inout RDMATransfer) throws(BatonError) {
    for queue in lanes.completions { try queue.arm() }
    let before = transfer.completed
    // Between the last look and the arming something may have come.
    try take(&transfer)
    guard transfer.completed == before else { return }
    let alone = lanes.completions.count == 1
    for queue in lanes.completions {
      if try queue.wait(milliseconds: alone ? MigrationLimits.rdmaSleepMilliseconds : 1) { return }
    }
  }

  /// Takes what comes back flushed. What does not in time, the device is made to let go of.
  private func drain(_ transfer: inout RDMATransfer) {
    let end = ContinuousClock.now + .milliseconds(Int(timeoutMilliseconds))
    while !transfer.isIdleOnDevice, ContinuousClock.now < end {
      for queue in lanes.completions {
        _ = try? queue.poll { transfer.complete($0) }
      }
    }
    if !transfer.isIdleOnDevice { lanes.reset() }
  }

  // MARK: Proving

  private func prove(with proof: RDMAEndpoint.Proof) throws(BatonError) {
    let length = RDMAEndpoint.Proof.byteCount
    let memory = ScratchMemory(byteCount: length)
    for lane in used {
      let target = try RegisteredMemory(
        lane.port.domain, address: memory.address, length: length, use: .targetOfReads)
      let read = QueuePair.Read(
        id: 0, localAddress: memory.address, remoteAddress: proof.address, length: length,
        localKey: target.localKey, remoteKey: proof.remoteKeys[lane.peerPort], isSignalled: true)
      let (_, error) = lane.pair.pair.post(1) { _ in read }
      if let error { throw error }
      try lanes.wait(
        for: 1, id: read.id, of: "the first READ of \(peer.engine)",
        milliseconds: MigrationLimits.proofMilliseconds)
    }
  }
}

/// Memory of this process that nothing else uses.
@safe
final class ScratchMemory: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes; only a device writes the memory.
  private let base: UnsafeMutableRawPointer

  init(byteCount: Int) {
    unsafe base = .allocate(byteCount: byteCount, alignment: 4_096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
  }

  var address: UInt { unsafe UInt(bitPattern: base) }

  deinit { unsafe base.deallocate() }
}
