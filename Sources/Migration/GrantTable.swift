import KVCore
import Synchronization

/// What peers may read of this engine's memory: the extents of each ticket that they have claimed.
///
/// Memory that is being sent is in use whatever becomes of its lease, so whoever takes a ticket
/// back is told when the last use of it has ended. Callable from any thread.
final class GrantTable: Sendable {
  private struct Grant {
    var links: Set<LinkID>
    /// By region and offset; none touches the next.
    let extents: [RegionExtent]
    var uses = 0
    /// Set when the ticket has been taken back.
    var whenQuiet: (@Sendable () -> Void)?
  }

  private let grants = Mutex<[TicketID: Grant]>([:])

  /// Lets the peer of `link` read `extents` under `ticket`, beside those of links that had it.
  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) {
    let joined = RegionExtent.joined(extents)
    grants.withLock { grants in
      if grants[ticket]?.links.insert(link) == nil {
        grants[ticket] = Grant(links: [link], extents: joined)
      }
    }
  }

  /// Takes a ticket back. `whenQuiet` is called once nothing under it is in use: at once, on this
  /// thread, if nothing is; otherwise on the thread of the last use.
  func revoke(_ ticket: TicketID, whenQuiet: @escaping @Sendable () -> Void) {
    let isQuiet = grants.withLock { grants in
      guard let grant = grants[ticket], grant.uses > 0 else {
        grants[ticket] = nil
        return true
      }
      precondition(grant.whenQuiet == nil, "a ticket is taken back once")
      grants[ticket]?.whenQuiet = whenQuiet
      return false
    }
    if isQuiet { whenQuiet() }
  }

  /// The peer of a link that has ended reads nothing more.
  func remove(link: LinkID) {
    grants.withLock { grants in
      for ticket in grants.keys { grants[ticket]?.links.remove(link) }
    }
  }

  /// Begins a use of `extents`; `endUse` must follow.
  ///
  /// Throws `leaseExpired` for a ticket that is not granted on this link, or no longer, and
  /// `invalidArgument` for an extent that is not the ticket's.
  func beginUse(
    of ticket: TicketID, link: LinkID, extents: [RegionExtent]
  ) throws(BatonError) {
    try grants.withLock { (grants) throws(BatonError) in
      guard let grant = grants[ticket], grant.whenQuiet == nil, grant.links.contains(link) else {
        throw BatonError(
          .leaseExpired, "ticket \(ticket) is not granted on link \(link), or no longer")
      }
      if let outside = extents.first(where: { !Self.contains(grant.extents, $0) }) {
        throw BatonError(
          .invalidArgument,
          "bytes \(outside.offset)..<\(outside.offset &+ outside.length) of region "
            + "\(outside.region) are not granted by ticket \(ticket)")
      }
      grants[ticket]?.uses += 1
    }
  }

  func endUse(of ticket: TicketID) {
    let whenQuiet: (@Sendable () -> Void)? = grants.withLock { grants in
      grants[ticket]?.uses -= 1
      guard let grant = grants[ticket], grant.uses == 0, let whenQuiet = grant.whenQuiet
      else { return nil }
      grants[ticket] = nil
      return whenQuiet
    }
    whenQuiet?()
  }

  /// Whether one of `extents`, which are sorted and do not touch, has all of `wanted`.
  private static func contains(_ extents: [RegionExtent], _ wanted: RegionExtent) -> Bool {
    guard wanted.offset >= 0, wanted.length >= 0, wanted.offset <= Int.max - wanted.length
    else { return false }
    // The first extent that starts after `wanted` does.
    var low = 0
    var high = extents.count
    while low < high {
      let middle = (low + high) / 2
      let (region, offset) = (extents[middle].region.rawValue, extents[middle].offset)
      if (region, offset) <= (wanted.region.rawValue, wanted.offset) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low > 0 else { return false }
    let candidate = extents[low - 1]
    return candidate.region == wanted.region && wanted.end <= candidate.end
  }
}
