import CVerbs
import Glibc
package import KVCore

/// One end of a reliable connection: ibv_create_qp(3), and ibv_destroy_qp(3) at the end, after
/// which the device neither reads nor writes for it any more.
@safe
package struct QueuePair: ~Copyable, @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes and verbs can be called from any
  // thread.

  /// One READ of the peer's memory.
  package struct Read: Hashable, Sendable {
    /// Comes back with the completion.
    package var id: UInt64
    package var localAddress: UInt
    package var remoteAddress: UInt64
    package var length: Int
    package var localKey: UInt32
    package var remoteKey: UInt32
    /// Whether it has a completion of its own where it succeeds; where it fails it always has.
    package var isSignalled: Bool

    package init(
      id: UInt64, localAddress: UInt, remoteAddress: UInt64, length: Int, localKey: UInt32,
      remoteKey: UInt32, isSignalled: Bool
    ) {
      self.id = id
      self.localAddress = localAddress
      self.remoteAddress = remoteAddress
      self.length = length
      self.localKey = localKey
      self.remoteKey = remoteKey
      self.isSignalled = isSignalled
    }
  }

  /// As many READs as are posted with one doorbell.
  package static let chain = Int(CVERBS_CHAIN)

  /// How the other end is reached, and how patiently; what has no value in the field's habit is the
  /// caller's to say.
  package struct Path: Sendable {
    package var queuePair: UInt32
    /// The first packet sequence numbers, 24 bits.
    package var ownSequence: UInt32
    package var peerSequence: UInt32
    package var port: UInt8
    package var mtu: ByteCount
    /// On InfiniBand.
    package var lid: UInt16
    /// The peer's and this end's; nil on InfiniBand without routes.
    package var gids: (own: UInt8, peer: [UInt8])?
    /// READs on their way at once.
    package var outgoingReads: Int
    package var incomingReads: Int
    /// A packet is sent again after 4.096 µs · 2^timeout (InfiniBand 1.2.1, 11.6.2): 14 is 67 ms.
    package var timeout: UInt8 = 14
    /// How often. 7 would be for ever on some devices.
    package var retries: UInt8 = 5
    package var receiverRetries: UInt8 = 5
    /// What a peer is told to wait whose request comes too early, by the code of InfiniBand 1.2.1,
    /// 9.7.5.2.8: 12 is 0.64 ms. READs need no receiver.
    package var receiverDelay: UInt8 = 12
    package var hopLimit: UInt8 = 64
    /// Of the packets' GRH; on RoCE v2 the IP header's, of which the upper six bits are the DSCP.
    package var trafficClass: UInt8 = 0
    /// 0 to 15; on RoCE the VLAN priority.
    package var serviceLevel: UInt8 = 0
    /// Which of a port's LIDs packets come from, where it has several.
    package var sourcePathBits: UInt8 = 0

    package init(
      queuePair: UInt32, ownSequence: UInt32, peerSequence: UInt32, port: UInt8, mtu: ByteCount,
      lid: UInt16, gids: (own: UInt8, peer: [UInt8])?, outgoingReads: Int, incomingReads: Int
    ) {
      self.queuePair = queuePair
      self.ownSequence = ownSequence
      self.peerSequence = peerSequence
      self.port = port
      self.mtu = mtu
      self.lid = lid
      self.gids = gids
      self.outgoingReads = outgoingReads
      self.incomingReads = incomingReads
    }
  }

  package let completions: CompletionQueue
  private let domain: ProtectionDomain
  let pair: UnsafeMutablePointer<ibv_qp>

  /// - Parameter requests: outstanding at once, at most.
  package init(
    _ domain: ProtectionDomain, completions: CompletionQueue, requests: Int
  ) throws(BatonError) {
    guard
      let pair = unsafe cverbs_create_queue_pair(
        domain.domain, completions.queue, UInt32(requests))
    else {
      throw BatonError(
        verb: "ibv_create_qp", subject: "\(requests) requests on \(domain.device.name)",
        errno: errno)
    }
    self.domain = domain
    self.completions = completions
    unsafe self.pair = pair
  }

  deinit { _ = unsafe ibv_destroy_qp(pair) }

  /// By which the other end names this one.
  package var number: UInt32 { unsafe pair.pointee.qp_num }

  /// RESET to INIT.
  ///
  /// - Parameters:
  ///   - partition: the place of the partition key in the port's table; 0 is the default one's.
  ///   - peerReads: whether the other end may read this side's memory.
  package borrowing func initialize(
    port: UInt8, partition: UInt16 = 0, peerReads: Bool
  ) throws(BatonError) {
    try check(
      unsafe cverbs_to_init(pair, port, partition, peerReads ? 1 : 0), "ibv_modify_qp to INIT",
      subject)
  }

  /// INIT to RTR and RTS.
  package borrowing func connect(_ path: Path) throws(BatonError) {
    var wire = cverbs_path()
    wire.queue_pair = path.queuePair
    wire.own_sequence = path.ownSequence & 0xFF_FFFF
    wire.peer_sequence = path.peerSequence & 0xFF_FFFF
    wire.port = path.port
    wire.mtu = UInt32(path.mtu.rawValue)
    wire.lid = path.lid
    if let gids = path.gids {
      precondition(gids.peer.count == GID.byteCount, "a GID has 16 bytes")
      wire.is_global = 1
      wire.gid_index = gids.own
      unsafe withUnsafeMutableBytes(of: &wire.gid) { unsafe $0.copyBytes(from: gids.peer) }
    }
    wire.hop_limit = path.hopLimit
    wire.traffic_class = path.trafficClass
    wire.service_level = path.serviceLevel & 0xF
    wire.source_path_bits = path.sourcePathBits & 0x7F
    wire.receiver_delay = path.receiverDelay & 0x1F
    wire.outgoing_reads = UInt8(clamping: path.outgoingReads)
    wire.incoming_reads = UInt8(clamping: path.incomingReads)
    wire.timeout = path.timeout
    wire.retries = path.retries
    wire.receiver_retries = path.receiverRetries
    try check(unsafe cverbs_to_ready(pair, &wire), "ibv_modify_qp to RTS", subject)
  }

  /// To ERR from any state: what is outstanding comes back flushed, and the peer reads nothing
  /// more.
  package borrowing func fail() throws(BatonError) {
    try check(unsafe cverbs_to_error(pair), "ibv_modify_qp to ERR", subject)
  }

  /// To RESET from any state: what is outstanding is forgotten, without a completion, and the
  /// device writes nothing of it any more.
  package borrowing func reset() throws(BatonError) {
    try check(unsafe cverbs_to_reset(pair), "ibv_modify_qp to RESET", subject)
  }

  /// Posts `count` READs, `chain` at most, with one doorbell. Returns how many the device took, and
  /// the error that kept it from taking all.
  ///
  /// - Parameter read: each of them, by its place.
  package borrowing func post(
    _ count: Int, _ read: (Int) -> Read
  ) -> (posted: Int, error: BatonError?) {
    var posted = 0
    let pair = unsafe pair
    let result = unsafe withUnsafeTemporaryAllocation(
      of: cverbs_read.self, capacity: count
    ) { buffer in
      for place in 0..<count {
        let read = read(place)
        unsafe buffer.initializeElement(
          at: place,
          to: cverbs_read(
            id: read.id, local_address: UInt64(read.localAddress),
            remote_address: read.remoteAddress, length: UInt32(read.length),
            local_key: read.localKey, remote_key: read.remoteKey,
            is_signalled: read.isSignalled ? 1 : 0))
      }
      guard let first = buffer.baseAddress else { return CInt(0) }
      return unsafe cverbs_post_reads(pair, first, count, &posted)
    }
    guard result < 0 else { return (posted, nil) }
    return (posted, BatonError(verb: "ibv_post_send", subject: subject, errno: -result))
  }

  var subject: String { "queue pair \(number) on \(domain.device.name)" }
}
