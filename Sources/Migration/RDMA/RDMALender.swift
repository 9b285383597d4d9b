import ControlProtocol
import KVCore
import Synchronization
import Verbs

/// The owner's side of one link's lanes: which parts of its memory the peer can READ.
///
/// A ticket's extents are lent by a memory window each on each lane, and taken back by invalidating
/// these: a READ with their keys is then refused by the device, whatever the peer wants. A ticket
/// in more extents than `RDMAWindow.maximumPerTicket`, and every one where a device has no windows,
/// is lent by the key of the whole region; only the end of the queue pairs takes that back.
final class RDMALender: Sendable {
  private enum Loan {
    /// By lane.
    case windows([[MemoryWindow]])
    case regions
  }

  private struct State {
    var loans: [TicketID: (loan: Loan, access: TicketAccess)] = [:]
    /// Windows that are not bound, by lane.
    var spare: [[MemoryWindow]]
    /// Counts chains of changes, so that completions are told apart.
    var changes: UInt64 = 0
    /// Set when the queue pairs have been brought to ERR: nothing can be read any more.
    var isClosed = false
  }

  let lanes: RDMALanes
  private let hasWindows: Bool
  private let state: Mutex<State>

  init(lanes: RDMALanes) {
    self.lanes = lanes
    hasWindows = lanes.lanes.allSatisfy {
      lanes.ports[$0.port].device.limits.hasWindows
    }
    state = Mutex(State(spare: lanes.lanes.map { _ in [] }))
  }

  /// Lends the extents of a ticket, if it is not lent already. Returns nothing where nothing can be
  /// lent any more.
  ///
  /// - Parameter sources: the link's regions, of which the extents are.
  func lend(
    _ ticket: TicketID, extents: [RegionExtent], sources: [RegionKey: RDMARegistration]
  ) -> TicketAccess {
    let extents = RegionExtent.joined(extents).flatMap { sources[$0.region]?.parts(of: $0) ?? [] }
    return state.withLock { state in
      if let known = state.loans[ticket] { return known.access }
      guard !state.isClosed else { return TicketAccess() }
      let made: (Loan, TicketAccess)
      if hasWindows, extents.count <= RDMAWindow.maximumPerTicket,
        let windows = take(extents.count, from: &state)
      {
        do throws(BatonError) {
          try bind(windows, to: extents, of: sources, &state)
        } catch {
          close(&state)
          return TicketAccess()
        }
        made = (.windows(windows), access(to: extents, by: windows))
      } else {
        made = (.regions, access(toAllOf: extents, of: sources))
        guard made.1.protection != nil else { return made.1 }
      }
      state.loans[ticket] = made
      return made.1
    }
  }

  /// Whether the ticket is lent, and its peer may read under it.
  func isLent(_ ticket: TicketID) -> Bool {
    state.withLock { !$0.isClosed && $0.loans[ticket] != nil }
  }

  /// Takes a ticket back: when this returns nothing is read under it any more.
  ///
  /// - Parameter readerIsDone: the peer has said that it reads nothing more under the ticket;
  ///   else what cannot be taken back alone is with all that the link reads.
  func takeBack(_ ticket: TicketID, readerIsDone: Bool) {
    state.withLock { state in
      guard let (loan, _) = state.loans.removeValue(forKey: ticket), !state.isClosed else { return }
      switch loan {
      case .windows(let windows):
        do throws(BatonError) {
          try invalidate(windows, &state)
          for (lane, unused) in windows.enumerated() { state.spare[lane] += unused }
        } catch {
          close(&state)
        }
      case .regions:
        if !readerIsDone { close(&state) }
      }
    }
  }

  /// The queue pairs end, and with them all that is lent. Returns the tickets that were.
  func close() -> [TicketID] {
    state.withLock { state in
      let tickets = Array(state.loans.keys)
      close(&state)
      return tickets
    }
  }

  private func close(_ state: inout State) {
    lanes.fail()
    state.isClosed = true
    state.loans.removeAll()
    // Some devices do not let go of a queue pair that has windows.
    state.spare = lanes.lanes.map { _ in [] }
  }

  // MARK: Windows

  /// So many windows of each lane; nil where a device has no more.
  private func take(_ count: Int, from state: inout State) -> [[MemoryWindow]]? {
    do throws(BatonError) {
      for (place, lane) in lanes.lanes.enumerated() {
        while state.spare[place].count < count {
          let domain = lanes.ports[lane.port].domain
          state.spare[place].append(try MemoryWindow(domain))
        }
      }
    } catch {
      return nil
    }
    var taken: [[MemoryWindow]] = []
    for place in lanes.lanes.indices {
      taken.append(Array(state.spare[place].suffix(count)))
      state.spare[place].removeLast(count)
    }
    return taken
  }

  private func bind(
    _ windows: [[MemoryWindow]], to extents: [RegionExtent],
    of sources: [RegionKey: RDMARegistration], _ state: inout State
  ) throws(BatonError) {
    try change(&state) { place in
      let port = lanes.ports[lanes.lanes[place].port]
      return zip(windows[place], extents).compactMap { window, extent in
        sources[extent.region]?.binding(of: window, to: extent, on: port)
      }
    }
  }

  private func invalidate(
    _ windows: [[MemoryWindow]], _ state: inout State
  ) throws(BatonError) {
    try change(&state) { place in windows[place].map { .invalidate($0) } }
  }

  /// Does what `changes` says for each lane, and waits until it is done.
  private func change(
    _ state: inout State, _ changes: (Int) -> [MemoryWindow.Change]
  ) throws(BatonError) {
    state.changes += 1
    var outstanding = 0
    for (place, lane) in lanes.lanes.enumerated() {
      let changes = changes(place)
      guard !changes.isEmpty else { continue }
      try lane.pair.post(changes[...], id: state.changes)
      outstanding += 1
    }
    try lanes.wait(
      for: outstanding, id: state.changes, of: "a change of memory windows",
      milliseconds: MigrationLimits.windowMilliseconds)
  }

  // MARK: What the peer is told

  private func access(
    to extents: [RegionExtent], by windows: [[MemoryWindow]]
  ) -> TicketAccess {
    let told = extents.enumerated().map { place, extent in
      RDMAWindow(
        region: extent.region, offset: ByteCount(extent.offset),
        length: ByteCount(extent.length), remoteKeys: windows.map { $0[place].remoteKey })
    }
    return TicketAccess(windows: told, protection: .windows)
  }

  private func access(
    toAllOf extents: [RegionExtent], of sources: [RegionKey: RDMARegistration]
  ) -> TicketAccess {
    let regions = Set(extents.map(\.region)).compactMap { sources[$0] }
    let ports = lanes.lanes.map { lanes.ports[$0.port] }
    let told = regions.flatMap { $0.windows(on: ports) }
    guard told.count <= RDMAWindow.maximumPerTicket else { return TicketAccess() }
    return TicketAccess(windows: told, protection: .pool)
  }
}
