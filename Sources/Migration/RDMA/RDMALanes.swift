import ControlProtocol
import KVCore
import Verbs

/// This side's queue pairs of one link.
final class RDMALanes: Sendable {
  /// A queue pair that an array can hold.
  final class Lane: Sendable {
    let pair: QueuePair
    /// The place of its port in `RDMALanes.ports`.
    let port: Int
    let sequence: UInt32

    init(_ pair: consuming QueuePair, port: Int, sequence: UInt32) {
      self.pair = pair
      self.port = port
      self.sequence = sequence
    }
  }

  /// Those that were active when the lanes were made.
  let ports: [RDMAHardware.Port]
  /// One for each device.
  let completions: [CompletionQueue]
  let lanes: [Lane]

  /// Queue pairs in INIT, over all ports in turn.
  ///
  /// - Parameters:
  ///   - count: how many.
  ///   - peerReads: whether the other side reads this one's memory; else this one reads.
  ///
  /// Throws `unavailable` without ports, and what the device says.
  init(ports: [RDMAHardware.Port], count: Int, peerReads: Bool) throws(BatonError) {
    guard !ports.isEmpty else {
      throw BatonError(.unavailable, "no RDMA port of this machine is up")
    }
    self.ports = ports
    let requests = peerReads ? 2 * RDMAWindow.maximumPerTicket : MigrationLimits.rdmaRequests
    var completions: [CompletionQueue] = []
    var lanes: [Lane] = []
    for place in 0..<count {
      let port = place % ports.count
      let (domain, number) = (ports[port].domain, ports[port].port.number)
      var queue = completions.first { $0.device === domain.device }
      if queue == nil {
        // Errors report each request, so the queue has room for all of them.
        let made = try CompletionQueue(device: domain.device, capacity: (requests + 1) * count)
        completions.append(made)
        queue = made
      }
      guard let queue else { preconditionFailure("a queue for each device") }
      let pair = try QueuePair(domain, completions: queue, requests: requests)
      try pair.initialize(port: number, peerReads: peerReads)
      lanes.append(
        Lane(pair, port: port, sequence: UInt32.random(in: 0...0xFF_FFFF)))
    }
    self.completions = completions
    self.lanes = lanes
  }

  /// READs that a lane has on their way, or answers, at once.
  func reads(of lane: Lane, peerReads: Bool) -> Int {
    let limits = ports[lane.port].device.limits
    let reads = peerReads ? limits.incomingReads : limits.outgoingReads
    return max(1, min(reads, MigrationLimits.rdmaReads))
  }

  /// What the peer is told of the lanes.
  func info(peerReads: Bool) -> [RDMAEndpoint.Lane] {
    lanes.map { lane in
      RDMAEndpoint.Lane(
        port: lane.port, queuePair: lane.pair.number, sequence: lane.sequence,
        reads: reads(of: lane, peerReads: peerReads))
    }
  }

  /// Connects a lane with one of the peer's.
  ///
  /// - Parameters:
  ///   - gids: of both ends; nil where the port is reached by LID.
  func connect(
    _ lane: Lane, to peer: RDMAEndpoint.Lane, on port: RDMAEndpoint.Port,
    gids: (own: UInt8, peer: [UInt8])?, peerReads: Bool, options: MigrationOptions
  ) throws(BatonError) {
    let own = ports[lane.port].port
    let atOnce = min(reads(of: lane, peerReads: peerReads), peer.reads)
    var path = QueuePair.Path(
      queuePair: peer.queuePair, ownSequence: lane.sequence, peerSequence: peer.sequence,
      port: own.number, mtu: min(own.mtu, ByteCount(Int(port.mtu))), lid: port.lid, gids: gids,
      outgoingReads: peerReads ? 0 : atOnce, incomingReads: peerReads ? atOnce : 0)
    path.trafficClass = options.trafficClass
    path.serviceLevel = options.serviceLevel
    try lane.pair.connect(path)
  }

  /// Looks for the completions of requests that were posted with `id` until `count` have succeeded,
  /// which takes microseconds: it does not sleep.
  ///
  /// Throws what one of them failed with; `deadlineExceeded` when they take longer than
  /// `milliseconds`.
  func wait(
    for count: Int, id: UInt64, of subject: @autoclosure () -> String, milliseconds: Int
  ) throws(BatonError) {
    let end = ContinuousClock.now + .milliseconds(milliseconds)
    var outstanding = count
    while outstanding > 0 {
      var failed: CInt?
      for queue in completions {
        _ = try queue.poll { completion in
          guard completion.id == id else { return }
          outstanding -= 1
          if !completion.isSuccess { failed = completion.status }
        }
      }
      if let failed { throw BatonError(completion: failed, subject: subject()) }
      guard outstanding <= 0 || ContinuousClock.now < end else {
        throw BatonError(
          .deadlineExceeded, "\(subject()) had no completion in \(milliseconds) ms")
      }
    }
  }

  /// Whether any of them is made on this device.
  func use(_ device: DeviceContext) -> Bool { lanes.contains { ports[$0.port].device === device } }

  /// Whether a queue pair of this number is one of them.
  func contain(_ number: UInt32, of device: DeviceContext) -> Bool {
    lanes.contains { $0.pair.number == number && ports[$0.port].device === device }
  }

  /// What is outstanding is forgotten: for a device that does not say any more what became of it.
  func reset() {
    for lane in lanes { try? lane.pair.reset() }
  }

  /// All queue pairs to ERR: nothing is read over them any more, on either side.
  func fail() {
    for lane in lanes { try? lane.pair.fail() }
  }
}
