import ControlProtocol
import ControlTransport
import EngineHost
import Inference
import KVCore
import KVPool
import Logging

/// Turns messages on control connections into commands for the prefill thread.
struct PrefillHandler: ControlHandler {
  let host: EngineHost
  let mailbox: Mailbox<PrefillCommand>
  let links: LinkRegistry

  func accept(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) -> Bool {
    switch message {
    case .leaseRenew(let tickets):
      mailbox.post(.renew(tickets, connection.leasePeer, at: .now, reply))
    case .leaseRelease(let tickets):
      mailbox.post(.release(tickets, connection.leasePeer, reply))
    default: return false
    }
    return true
  }

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    if await host.answerCommon(message, reply: reply) { return }
    switch message {
    case .prefillRequest(let request):
      await prefill(request, reply: reply)
    case .linkOpen(let open):
      do {
        let endpoint = try await links.open(open, for: connection)
        reply.send(.linkOpened(LinkOpened(endpoints: [endpoint])), last: true)
      } catch {
        reply.fail(BatonError(wrapping: error))
      }
    case .linkClose(let close):
      guard links.close(close.link, of: connection) else {
        reply.fail(Self.unknown(close.link))
        return
      }
      mailbox.post(.linksLost([close.link]))
      reply.send(.acknowledged, last: true)
    case .ticketClaim(let claim):
      guard links.contains(claim.link, of: connection) else {
        reply.fail(Self.unknown(claim.link))
        return
      }
      let claimant = LeaseTable.Claimant(
        peer: connection.leasePeer, attempt: claim.attempt, link: claim.link)
      let isAnswered = await PendingReply.hold(reply) {
        mailbox.post(.claim(claim, claimant, at: .now, $0))
      }
      // Who cancels a claim wants the blocks no longer.
      if !isAnswered { mailbox.post(.abandon(claim.ticket, claimant.peer)) }
    default:
      reply.fail(BatonError(.unimplemented, "a prefill engine does not answer this message"))
    }
  }

  private static func unknown(_ link: LinkID) -> BatonError {
    BatonError(.protocolViolation, "link \(link) is not open on this connection")
  }

  func connectionClosed(_ connection: ControlConnection) {
    mailbox.post(.linksLost(links.close(of: connection)))
  }

  private func prefill(_ request: PrefillRequest, reply: ReplyWriter) async {
    let received = ContinuousClock.now
    if let refusal = host.refusal(tokens: request.tokens, sampling: request.sampling) {
      reply.fail(refusal)
      return
    }
    let blocks: [BlockRange]
    do {
      blocks = try await host.reserver.reserve(
        blocks: host.engine.geometry.blockCount(tokens: request.tokens.count)
      ) { mailbox.post(.roomWanted) }
    } catch {
      reply.fail(BatonError(wrapping: error))
      return
    }
    let ticket = TicketID.random()
    let isAnswered = await PendingReply.hold(reply) { pending in
      let submission = PrefillSubmission(
        request: request, ticket: ticket, blocks: blocks, received: received, reply: pending)
      mailbox.post(.submit(submission))
    }
    if !isAnswered { mailbox.post(.withdraw(ticket)) }
  }
}

extension ControlConnection {
  /// The engine at the other end as leases know it.
  fileprivate var leasePeer: LeaseTable.Peer {
    LeaseTable.Peer(engine: remote.engine, incarnation: remote.incarnation)
  }
}
