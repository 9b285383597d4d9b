import ControlProtocol
import KVCore

/// Where a peer's bytes are for READs, and where they go.
struct RDMASources {
  /// Memory of this side that READs write: one section of a registration.
  struct Target {
    let address: UInt
    let length: Int
    /// By lane.
    let localKeys: [UInt32]
    /// Keeps the memory pinned.
    let registration: RDMARegistration
  }

  /// Where bytes are that one READ over any lane can bring.
  struct Place {
    let address: UInt64
    /// How many of those that were asked for.
    let length: Int
    fileprivate let window: Int
    fileprivate let target: Int
  }

  /// Of the peer; few, and looked through faster than hashed.
  let regions: [RDMAEndpoint.Region]
  let targets: [Target]
  /// Of the grant that is used.
  var windows: [RDMAWindow] = []

  /// Where the first bytes of a piece are: as far as one window, and one target, goes.
  ///
  /// Throws `unavailable` where the grant has nothing for lanes, `invalidArgument` for a piece
  /// outside of it, or outside the registered targets.
  func place(of piece: MigrationPlan.Read) throws(BatonError) -> Place {
    guard !windows.isEmpty else {
      throw BatonError(.unavailable, "the peer has granted nothing over its RDMA lanes")
    }
    let offset = piece.sourceOffset
    // Few: `RDMAWindow.maximumPerTicket`.
    let window = windows.firstIndex { window in
      window.region == piece.region && window.offset.rawValue <= offset
        && offset - window.offset.rawValue < window.length.rawValue
    }
    let region = regions.firstIndex { $0.key == piece.region }
    guard let region, let window else {
      throw BatonError(
        .invalidArgument,
        "bytes \(offset)..<\(offset + piece.length) of region \(piece.region) are not granted")
    }
    let target = targets.firstIndex {
      $0.address <= piece.targetAddress && piece.targetAddress - $0.address < UInt($0.length)
    }
    guard let target else {
      throw BatonError(
        .invalidArgument, "what region \(piece.region) is read to is not registered for that")
    }
    let granted = windows[window].length.rawValue - (offset - windows[window].offset.rawValue)
    let writable = targets[target].length - Int(piece.targetAddress - targets[target].address)
    return Place(
      address: regions[region].address + UInt64(offset),
      length: min(piece.length, granted, writable),
      window: window, target: target)
  }

  /// The keys of both sides on a lane.
  func keys(of place: Place, lane: Int) -> (local: UInt32, remote: UInt32) {
    (targets[place.target].localKeys[lane], windows[place.window].remoteKeys[lane])
  }
}
