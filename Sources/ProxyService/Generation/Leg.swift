import ControlProtocol
import ControlTransport
import KVCore

/// What one engine says of one attempt.
enum LegEvent: Sendable {
  case accepted(Ticket)
  case prefilled(PrefillDone)
  case chunk(TokenChunk)
  /// An engine has said all that it had to say.
  case ended

  var kind: AttemptMachine.Event {
    switch self {
    case .accepted: .accepted
    case .prefilled: .prefilled
    case .chunk: .chunk
    case .ended: .ended
    }
  }
}

/// One engine's part of one attempt: sends the request and hands on what comes back.
struct Leg: Sendable {
  let connection: ControlConnection
  let events: AsyncThrowingStream<LegEvent, any Error>.Continuation

  /// Ends with the engine's answer; a failure ends the whole attempt. Cancelling cancels the
  /// request in the engine.
  ///
  /// That a prefill engine is lost after it has read the prompt is no failure: whether decode has
  /// the blocks, which outlive the engine, decode says itself.
  func run(_ request: Message, by deadline: ContinuousClock.Instant) async {
    var isPrefilled = false
    do {
      var isComplete = false
      for try await message in try connection.stream(request, within: deadline - .now) {
        switch message {
        case .prefillAccepted(let ticket):
          events.yield(.accepted(ticket))
        case .prefillDone(let done):
          isComplete = true
          isPrefilled = true
          events.yield(.prefilled(done))
        case .acknowledged where isComplete:
          // Decode has claimed the ticket: prefill keeps the blocks no longer for us to take back.
          break
        case .tokenChunk(let chunk):
          isComplete = chunk.finish != nil
          events.yield(.chunk(chunk))
        default:
          throw BatonError(
            .protocolViolation, "engine \(connection.remote.engine) sent an unexpected message")
        }
      }
      guard isComplete else {
        throw BatonError(
          .protocolViolation, "engine \(connection.remote.engine) ended its answer too early")
      }
      events.yield(.ended)
    } catch {
      if isPrefilled, BatonError(wrapping: error).code == .peerGone {
        events.yield(.ended)
      } else {
        events.finish(throwing: error)
      }
    }
  }
}
