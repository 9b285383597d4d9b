import ControlProtocol
import KVCore
import Platform
import Synchronization

/// A peer's regions over parallel data connections.
final class TCPConnection: TransportConnection {
  let regions: [RegionKey: ByteCount]
  private let lanes: [DataLane]
  private let isClosed = Atomic(false)
  /// Held while a plan is read: each lane brings the pieces of one at a time.
  private let reading = Mutex(())

  /// Opens the first data connection; the others follow when there is enough to read. Blocks, for
  /// a bounded time. An endpoint that offers nothing is connected as it is.
  ///
  /// Throws `invalidArgument` for regions and addresses that cannot be, and as `DataOpener.open`
  /// does.
  init(
    link: LinkID, peer: LinkPeer, endpoint: TCPEndpoint, keys: DataKeys, options: MigrationOptions
  ) throws(BatonError) {
    regions = try Self.regions(of: endpoint, peer: peer)
    guard !endpoint.addresses.isEmpty else {
      lanes = []
      return
    }
    let opener = DataOpener(
      link: link, peer: peer, addresses: try Self.addresses(of: endpoint, peer: peer), keys: keys,
      timeoutMilliseconds: options.progressTimeoutMilliseconds)
    lanes = (0..<options.lanes).map { _ in DataLane(opener: opener) }
    _ = try lanes[0].open()
  }

  func read(
    _ plan: MigrationPlan, under grant: ReadGrant?, cancellation: MigrationCancellation?
  ) -> ReadResult {
    guard let ticket = grant?.ticket else {
      return .failed(
        BatonError(.invalidArgument, "data connections bring what a ticket grants; there is none"),
        missing: plan)
    }
    return reading.withLock { _ in
      read(TCPTransfer(plan, ticket: ticket, cancellation: cancellation))
    }
  }

  /// Pass after pass, as long as something comes: a connection that is lost is opened anew in the
  /// next one. Those that were lost while nobody read fail in the first pass, whatever it brings.
  private func read(_ transfer: TCPTransfer) -> ReadResult {
    var isFirstPass = true
    while true {
      let before = transfer.doneCount
      let failure = runLanes(transfer)
      if let result = transfer.result { return result }
      let error = failure ?? BatonError(.internalError, "data connections ended early")
      if isClosed.load(ordering: .relaxed) || !(isFirstPass || transfer.doneCount > before) {
        return .failed(error, missing: transfer.missing)
      }
      isFirstPass = false
    }
  }

  /// Lets as many lanes as are worth it work on a transfer: the first on this thread. Returns the
  /// failure of one that was lost.
  private func runLanes(_ transfer: TCPTransfer) -> BatonError? {
    // A lane for less than it keeps asked for has nothing to do.
    let wanted = transfer.units.count / MigrationLimits.requestsInFlight
    let helpers = lanes.dropFirst().prefix(max(0, wanted - 1))
    let failure = Mutex<BatonError?>(nil)
    let threads = helpers.compactMap { lane in
      // A thread that cannot be had leaves its part to the others.
      try? PlatformThread.start(name: "baton-data-read") {
        if let error = lane.run(transfer) { failure.withLock { $0 = error } }
      }
    }
    let own = lanes[0].run(transfer)
    for thread in threads { thread.join() }
    return own ?? failure.withLock { $0 }
  }

  func close() {
    isClosed.store(true, ordering: .relaxed)
    for lane in lanes { lane.drop() }
  }

  deinit { close() }

  private static func regions(
    of endpoint: TCPEndpoint, peer: LinkPeer
  ) throws(BatonError) -> [RegionKey: ByteCount] {
    var regions: [RegionKey: ByteCount] = [:]
    for region in endpoint.regions {
      guard region.length > .zero, regions.count < MigrationLimits.maximumRegions,
        regions.updateValue(region.length, forKey: region.key) == nil
      else {
        throw BatonError(
          .invalidArgument,
          "\(peer.engine) offers region \(region.key) with \(region.length.rawValue) bytes: the "
            + "key is taken, the length 0, or there are more than "
            + "\(MigrationLimits.maximumRegions) regions")
      }
    }
    return regions
  }

  private static func addresses(
    of endpoint: TCPEndpoint, peer: LinkPeer
  ) throws(BatonError) -> [(host: String, port: UInt16)] {
    try endpoint.addresses.map { text throws(BatonError) in
      guard let colon = text.lastIndex(of: ":"),
        let port = UInt16(text[text.index(after: colon)...]), port > 0, colon > text.startIndex
      else {
        throw BatonError(
          .invalidArgument,
          "\(peer.engine) takes data connections at \"\(text)\"; HOST:PORT is right")
      }
      var host = text[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
      return (String(host), port)
    }
  }
}
