import ControlProtocol
import ControlTransport
import EngineHost
import KVCore

/// Answers what a prefill engine asks on the connection of its link.
struct LinkHandler: ControlHandler {
  let leases: LeaseKeeper
  let mailbox: Mailbox<DecodeCommand>

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    switch message {
    case .leaseRecall(let tickets):
      let known = leases.recall(tickets.tickets, over: connection)
      mailbox.post(.recall(known))
      reply.send(.acknowledged, last: true)
    default:
      reply.fail(
        BatonError(.unimplemented, "a decode engine does not answer this message on a link"))
    }
  }
}
