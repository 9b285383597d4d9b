/// One stream of one connection, as one side sees it: a request and its answers.
package enum StreamMachine: Hashable, Sendable, CaseIterable {
  /// This side asked; the answer is not complete.
  case asking
  /// The peer asked; the answer is not complete.
  case answering
  /// The answer is complete, but what made it has not returned.
  case answered
  /// The peer took its request back, or its time is up, but what was making the answer has not
  /// returned.
  case withdrawn
  /// Nothing more comes or goes.
  case closed

  package enum Event: Hashable, Sendable, CaseIterable {
    /// The peer sent an answer after which more come.
    case answerReceived
    /// The peer sent the last answer.
    case lastAnswerReceived
    /// The peer sent an error instead of an answer.
    case errorReceived
    case cancelReceived
    /// What makes the answers gave one after which more come.
    case answerMade
    /// What makes the answers gave the last one.
    case lastAnswerMade
    /// Who asked on this side no longer wants the answers.
    case cancelled
    /// What makes the answers has had its time.
    case expired
    /// What makes the answers has returned.
    case handlerReturned
  }

  package enum Action: Hashable, Sendable {
    /// Nothing: what came is late, as the stream has ended on this side.
    case drop
    /// Give the answer to who asked.
    case deliver
    /// Give the last answer to who asked; the stream has ended.
    case deliverLast
    /// Give the error to who asked; the stream has ended.
    case fail
    /// Send what was made.
    case send
    /// Send what was made with the last flag.
    case sendLast
    /// Send a cancel; the stream has ended on this side.
    case sendCancel
    /// Stop what makes the answers: nobody wants them.
    case stopHandler
    /// The peer cancelled what it was asked for: who asked gets an error.
    case failCancelled
    /// What made the answers returned without a last one: send an error in its place.
    case sendMissingAnswer
  }

  /// Goes to the state after `event` and says what to do.
  package mutating func on(_ event: Event) -> Action {
    switch (self, event) {
    case (.asking, .answerReceived): return .deliver
    case (.asking, .lastAnswerReceived): return end(.deliverLast)
    case (.asking, .errorReceived): return end(.fail)
    case (.asking, .cancelReceived): return end(.failCancelled)
    case (.asking, .cancelled): return end(.sendCancel)

    case (.answering, .answerMade): return .send
    case (.answering, .lastAnswerMade): return become(.answered, .sendLast)
    case (.answering, .cancelReceived): return become(.withdrawn, .stopHandler)
    case (.answering, .expired): return become(.withdrawn, .sendLast)
    case (.answering, .handlerReturned): return end(.sendMissingAnswer)

    case (.answered, .handlerReturned), (.withdrawn, .handlerReturned): return end(.drop)
    case (.answered, _), (.withdrawn, _), (.closed, _): return .drop

    // Events of the other side of a stream.
    case (.asking, .answerMade), (.asking, .lastAnswerMade), (.asking, .handlerReturned),
      (.asking, .expired),
      (.answering, .cancelled), (.answering, .answerReceived), (.answering, .lastAnswerReceived),
      (.answering, .errorReceived):
      return .drop
    }
  }

  private mutating func end(_ action: Action) -> Action { become(.closed, action) }

  private mutating func become(_ state: StreamMachine, _ action: Action) -> Action {
    self = state
    return action
  }
}
