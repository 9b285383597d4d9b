import ControlProtocol
import KVCore

/// Where a peer's bytes are for READs, and where they go.
struct RDMASources {
  /// Memory of this side that READs write.
  struct Target {
    let registration: RDMARegistration
    /// By lane.
    let localKeys: [UInt32]
  }

  /// Where one piece is, for any lane.
  struct Place {
    let address: UInt64
    fileprivate let window: Int
    fileprivate let target: Int
  }

  let regions: [RegionKey: RDMAEndpoint.Region]
  let targets: [Target]
  /// Of the grant that is used.
  var windows: [RDMAWindow] = []

  /// Throws `unavailable` where the grant has nothing for lanes, `invalidArgument` for a piece
  /// outside of it, or outside the registered targets.
  func place(of piece: MigrationPlan.Read) throws(BatonError) -> Place {
    guard !windows.isEmpty else {
      throw BatonError(.unavailable, "the peer has granted nothing over its RDMA lanes")
    }
    let (offset, end) = (piece.sourceOffset, piece.sourceOffset + piece.length)
    // Few: `RDMAWindow.maximumPerTicket`.
    let window = windows.firstIndex { window in
      window.region == piece.region && window.offset.rawValue <= offset
        && end - window.offset.rawValue <= window.length.rawValue
    }
    guard let region = regions[piece.region], let window else {
      throw BatonError(
        .invalidArgument, "bytes \(offset)..<\(end) of region \(piece.region) are not granted")
    }
    let target = targets.firstIndex {
      $0.registration.contains(piece.targetAddress, piece.length)
    }
    guard let target else {
      throw BatonError(
        .invalidArgument, "what region \(piece.region) is read to is not registered for that")
    }
    return Place(address: region.address + UInt64(offset), window: window, target: target)
  }

  /// The keys of both sides on a lane.
  func keys(of place: Place, lane: Int) -> (local: UInt32, remote: UInt32) {
    (targets[place.target].localKeys[lane], windows[place.window].remoteKeys[lane])
  }
}
