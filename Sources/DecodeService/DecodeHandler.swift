import BatonRuntime
import ControlProtocol
import ControlTransport
import EngineHost
import Inference
import KVCore

/// Answers the control connections of a decode or hybrid engine.
struct DecodeHandler: ControlHandler {
  let host: EngineHost
  let links: LinkTable
  let handover: Handover
  let mailbox: Mailbox<DecodeCommand>

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    if await host.answerCommon(message, reply: reply) { return }
    do {
      switch (message, host.configuration.role) {
      case (.decodeRequest(let request), .decode):
        try await decode(request, reply: reply)
      case (.linkPrepare(let prepare), .decode):
        _ = try await links.link(
          to: prepare.engine, incarnation: nil, addresses: prepare.addresses)
        reply.send(.acknowledged, last: true)
      case (.generateRequest(let request), .hybrid):
        try await generate(request, reply: reply)
      default:
        throw BatonError(
          .unimplemented, "a \(host.configuration.role) engine does not answer this message")
      }
    } catch {
      reply.fail(BatonError(wrapping: error))
    }
  }

  private func decode(_ request: DecodeRequest, reply: ReplyWriter) async throws {
    switch try await handover.receive(request, by: reply.deadline) {
    case .ended(let finish):
      reply.send(
        .tokenChunk(TokenChunk(firstIndex: 1, tokens: [], finish: finish, migration: nil)),
        last: true)
    case .arrived(let box):
      await PendingReply.hold(reply) { pending in
        guard let arrival = box.take() else { return }
        mailbox.post(.admit(arrival.sequence(reply: pending)))
        handover.log(arrival)
      }
    }
  }

  private func generate(_ request: GenerateRequest, reply: ReplyWriter) async throws {
    if let refusal = host.refusal(tokens: request.tokens, sampling: request.sampling) {
      throw refusal
    }
    let blocks = try await host.reserver.reserve(
      blocks: host.engine.geometry.blockCount(
        tokens: request.tokens.count + Int(request.sampling.maximumTokens)))
    await PendingReply.hold(reply) { pending in
      let sequence = DecodeSequence(
        request: request.request, sampling: request.sampling, reply: pending, ownBlocks: blocks,
        blocks: host.addresses(of: blocks), borrowed: nil, pending: request.tokens, position: 0,
        nextIndex: 0, report: nil)
      mailbox.post(.admit(sequence))
    }
  }
}
