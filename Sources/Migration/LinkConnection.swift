import ControlProtocol
import KVCore
import Synchronization

/// What a link reads its peer with: the best transport that works, and the next one from where the
/// last has failed.
final class LinkConnection: Sendable {
  private struct Way: Sendable {
    /// The place of the transport in `transports`.
    let place: Int
    let connection: any TransportConnection
    /// It has failed, and there is no other.
    var hasFailed = false
  }

  let link: LinkID
  private let peer: LinkPeer
  private let remote: EndpointInfo
  /// Those that both sides have, the best first; not empty.
  private let transports: [any Transport]
  private let onFailure: MigrationBackend.TransportFailureHandler
  private let way: Mutex<Way>
  /// Held while the next transport is being connected, so that this happens once.
  private let failover = Mutex(())

  /// Connects the first transport that can be. Blocks, for a bounded time.
  ///
  /// - Parameters:
  ///   - transports: those that both sides have, the best first.
  ///   - onFailure: told of each transport that fails, and what is used instead.
  ///
  /// Throws the last transport's error if none can; `incompatible` if there is none.
  init(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo, transports: [any Transport],
    onFailure: @escaping MigrationBackend.TransportFailureHandler
  ) throws(BatonError) {
    self.link = link
    self.peer = peer
    self.remote = remote
    self.transports = transports
    self.onFailure = onFailure
    way = Mutex(
      try Self.connect(
        transports, from: 0, link: link, peer: peer, remote: remote, onFailure: onFailure))
  }

  var kind: TransportKind { transports[way.withLock { $0.place }].kind }
  /// Whether a transport that both sides have could not be used, or has failed. What cannot be
  /// mapped now, on another node, never can.
  var isImpaired: Bool {
    let (place, hasFailed) = way.withLock { ($0.place, $0.hasFailed) }
    return hasFailed || transports[..<place].contains { $0.kind != .sharedMemory }
  }
  /// Whether all of them have failed.
  var hasFailed: Bool { way.withLock { $0.hasFailed } }
  var regions: [RegionKey: ByteCount] { way.withLock { $0.connection.regions } }

  func mappedRegion(_ key: RegionKey) -> MappedRegion? {
    way.withLock { $0.connection }.mappedRegion(key)
  }

  /// Reads everything in `plan`, over as many transports as it takes. Blocks.
  ///
  /// Returns the first block that was found not to be as the plan's checks say. Throws what the
  /// peer refuses with, and the last transport's error where no other is left.
  func read(
    _ plan: MigrationPlan, under grant: ReadGrant?, cancellation: MigrationCancellation? = nil
  ) throws(BatonError) -> BlockMismatch? {
    var plan = plan
    while true {
      let used = way.withLock { $0 }
      switch used.connection.read(plan, under: grant, cancellation: cancellation) {
      case .complete: return nil
      case .mismatch(let mismatch): return mismatch
      case .failed(let error, let missing):
        guard Self.isOfTransport(error.code) else { throw error }
        try replace(used, because: error)
        plan = missing
      }
    }
  }

  func close() {
    way.withLock { $0.connection }.close()
  }

  /// Whether another transport may have what this one has failed to bring.
  private static func isOfTransport(_ code: ErrorCode) -> Bool {
    switch code {
    case .peerGone, .deadlineExceeded, .deviceError, .unavailable: true
    default: false
    }
  }

  /// Goes to the transport after that of `failed`, if nobody has done so meanwhile.
  ///
  /// Throws `error` if there is none.
  private func replace(_ failed: Way, because error: BatonError) throws(BatonError) {
    try failover.withLock { (_) throws(BatonError) in
      guard way.withLock({ $0.place }) == failed.place else { return }
      onFailure(transports[failed.place].kind, error, true)
      guard failed.place + 1 < transports.count else {
        way.withLock { $0.hasFailed = true }
        throw error
      }
      let next = try Self.connect(
        transports, from: failed.place + 1, link: link, peer: peer, remote: remote,
        onFailure: onFailure)
      way.withLock { $0 = next }
      failed.connection.close()
    }
  }

  private static func connect(
    _ transports: [any Transport], from first: Int, link: LinkID, peer: LinkPeer,
    remote: EndpointInfo, onFailure: MigrationBackend.TransportFailureHandler
  ) throws(BatonError) -> Way {
    for place in first..<transports.count - 1 {
      do throws(BatonError) {
        return Way(
          place: place,
          connection: try transports[place].connect(link: link, peer: peer, remote: remote))
      } catch {
        onFailure(transports[place].kind, error, false)
      }
    }
    let last = transports.count - 1
    return Way(
      place: last, connection: try transports[last].connect(link: link, peer: peer, remote: remote))
  }
}
