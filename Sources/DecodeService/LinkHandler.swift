import ControlProtocol
import ControlTransport
import EngineHost
import KVCore

/// Answers what a prefill engine asks on the connection of its link.
struct LinkHandler: ControlHandler {
  let leases: LeaseKeeper
  let mailbox: Mailbox<DecodeCommand>

  func accept(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) -> Bool {
    guard case .leaseRecall(let tickets) = message else { return false }
    let known = leases.recall(tickets.tickets, over: connection)
    mailbox.post(.recall(known))
    reply.send(.acknowledged, last: true)
    return true
  }

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    reply.fail(
      BatonError(.unimplemented, "a decode engine does not answer this message on a link"))
  }
}
