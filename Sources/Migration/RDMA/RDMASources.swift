import ControlProtocol
import KVCore

/// Where a peer's bytes are for READs, and where they go, under one grant.
struct RDMASources {
  /// Where one piece is, for any lane.
  struct Place {
    let address: UInt64
    /// The place of its window in the grant.
    fileprivate let window: Int
    fileprivate let target: RDMARegistration
  }

  private let regions: [RegionKey: RDMAEndpoint.Region]
  /// By region and offset.
  private let windows: [RDMAWindow]
  private let targets: [RDMARegistration]
  private let lanes: [RDMAConnection.Lane]

  init(
    regions: [RegionKey: RDMAEndpoint.Region], windows: [RDMAWindow],
    targets: [RDMARegistration], lanes: [RDMAConnection.Lane]
  ) {
    self.regions = regions
    self.windows = windows.sorted {
      ($0.region.rawValue, $0.offset) < ($1.region.rawValue, $1.offset)
    }
    self.targets = targets
    self.lanes = lanes
  }

  /// Throws `unavailable` where the grant has nothing for lanes, `invalidArgument` for a piece
  /// outside of it, or outside the registered targets.
  func place(of piece: MigrationPlan.Read) throws(BatonError) -> Place {
    guard !windows.isEmpty else {
      throw BatonError(.unavailable, "the peer has granted nothing over its RDMA lanes")
    }
    let (offset, end) = (piece.sourceOffset, piece.sourceOffset + piece.length)
    // Few: `WireLimits.maximumRDMAWindows`.
    let window = windows.lastIndex { $0.region == piece.region && $0.offset.rawValue <= offset }
    guard let region = regions[piece.region], let window,
      end - windows[window].offset.rawValue <= windows[window].length.rawValue
    else {
      throw BatonError(
        .invalidArgument, "bytes \(offset)..<\(end) of region \(piece.region) are not granted")
    }
    guard let target = targets.first(where: { $0.contains(piece.targetAddress, piece.length) })
    else {
      throw BatonError(
        .invalidArgument, "what region \(piece.region) is read to is not registered for that")
    }
    return Place(address: region.address + UInt64(offset), window: window, target: target)
  }

  /// The keys of both sides on a lane.
  func keys(of place: Place, lane: Int) -> (local: UInt32, remote: UInt32) {
    (
      place.target.localKey(on: lanes[lane].port),
      windows[place.window].remoteKeys[lane]
    )
  }
}
