import ControlProtocol
import KVCore
import Verbs

/// This side's queue pairs of one link.
final class RDMALanes: Sendable {
  /// A queue pair that an array can hold.
  final class Lane: Sendable {
    let pair: QueuePair
    /// The place of its port in the hardware's ports.
    let port: Int
    let sequence: UInt32

    init(_ pair: consuming QueuePair, port: Int, sequence: UInt32) {
      self.pair = pair
      self.port = port
      self.sequence = sequence
    }
  }

  let hardware: RDMAHardware
  /// One for each device.
  let completions: [CompletionQueue]
  let lanes: [Lane]

  /// Queue pairs in INIT, over all ports in turn.
  ///
  /// - Parameters:
  ///   - count: how many.
  ///   - peerReads: whether the other side reads this one's memory; else this one reads.
  init(hardware: RDMAHardware, count: Int, peerReads: Bool) throws(BatonError) {
    self.hardware = hardware
    let requests = peerReads ? 2 * MigrationLimits.rdmaWindows : MigrationLimits.rdmaRequests
    var completions: [CompletionQueue] = []
    var lanes: [Lane] = []
    for place in 0..<count {
      let port = place % hardware.ports.count
      let (domain, number) = (hardware.ports[port].domain, hardware.ports[port].port.number)
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
    let limits = hardware.ports[lane.port].device.limits
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
    gids: (own: UInt8, peer: [UInt8])?, peerReads: Bool
  ) throws(BatonError) {
    let own = hardware.ports[lane.port].port
    let atOnce = min(reads(of: lane, peerReads: peerReads), peer.reads)
    try lane.pair.connect(
      QueuePair.Path(
        queuePair: peer.queuePair, ownSequence: lane.sequence, peerSequence: peer.sequence,
        port: own.number, mtu: min(own.mtu, ByteCount(Int(port.mtu))), lid: port.lid, gids: gids,
        outgoingReads: peerReads ? 0 : atOnce, incomingReads: peerReads ? atOnce : 0))
  }

  /// All queue pairs to ERR: nothing is read over them any more, on either side.
  func fail() {
    for lane in lanes { try? lane.pair.fail() }
  }
}
