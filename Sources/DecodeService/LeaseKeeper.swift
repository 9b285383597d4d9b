import ControlProtocol
import ControlTransport
import EngineHost
import KVCore
import Logging
import ServiceLifecycle
import Synchronization

/// Renews the leases of borrowed blocks and gives them back when they are no longer read.
final class LeaseKeeper: Service {
  private struct Held {
    let link: Link
    let ticket: TicketID
    /// Prefill wants the blocks back.
    var isRecalled = false
  }

  private let held = Mutex<[TicketID: Held]>([:])
  private let releases: AsyncStream<Held>
  private let releasesInput: AsyncStream<Held>.Continuation
  private let logger: Logger

  init(logger: Logger) {
    self.logger = logger
    (releases, releasesInput) = AsyncStream.makeStream()
  }

  /// Keeps the lease of a ticket until it is released; false if it is kept already.
  func keep(_ ticket: TicketID, on link: Link) -> Bool {
    held.withLock { held in
      guard held[ticket] == nil else { return false }
      held[ticket] = Held(link: link, ticket: ticket)
      return true
    }
  }

  /// Gives a ticket's blocks back to prefill; any thread may call this, and it never blocks.
  func release(_ ticket: TicketID, on link: Link) {
    held.withLock { _ = $0.removeValue(forKey: ticket) }
    guard link.isAlive else { return }
    releasesInput.yield(Held(link: link, ticket: ticket))
  }

  /// Notes that prefill wants tickets back, as it said on `connection`; returns those of them that
  /// are kept there.
  func recall(_ tickets: [TicketID], over connection: ControlConnection) -> Set<TicketID> {
    held.withLock { held in
      let known = tickets.filter { held[$0]?.link.connection === connection }
      for ticket in known { held[ticket]?.isRecalled = true }
      return Set(known)
    }
  }

  /// Whether any ticket is kept that was claimed over a link, or is about to be.
  func hasTickets(on link: LinkID) -> Bool {
    held.withLock { $0.values.contains { $0.link.id == link } }
  }

  /// Whether prefill wants a ticket's blocks back.
  func isRecalled(_ ticket: TicketID) -> Bool {
    held.withLock { $0[ticket]?.isRecalled ?? false }
  }

  /// Renews and releases until shutdown.
  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.renewPeriodically() }
        for await first in self.releases {
          group.addTask {
            await self.send(.leaseRelease(LeaseTickets(tickets: [first.ticket])), on: first.link)
          }
        }
        group.cancelAll()
      }
    }
  }

  private func renewPeriodically() async {
    await withDiscardingTaskGroup { group in
      while (try? await Task.sleep(for: .milliseconds(Limits.leaseRenewalMilliseconds))) != nil {
        let byLink = Dictionary(grouping: held.withLock { Array($0.values) }, by: \.link.id)
        for leases in byLink.values {
          guard let link = leases.first?.link, link.isAlive else { continue }
          // Beside each other: a peer that does not answer must not cost the others' leases.
          group.addTask {
            await self.send(.leaseRenew(LeaseTickets(tickets: leases.map(\.ticket))), on: link)
          }
        }
      }
    }
  }

  /// A failure needs no action here: a lease that prefill no longer has shows as a stale block, and
  /// a ticket that it has ended already needs no release.
  private func send(_ message: Message, on link: Link) async {
    do {
      _ = try await link.connection.request(
        message, within: .milliseconds(Limits.leaseRenewalMilliseconds))
    } catch {
      let code = BatonError(wrapping: error).code
      guard !Task.isCancelled, link.isAlive, code != .ticketUnknown, code != .cancelled
      else { return }
      logger.warning(
        "lease message refused", metadata: ["engine": "\(link.engine)", "error": "\(error)"])
    }
  }
}
