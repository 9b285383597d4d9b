/// One attempt at a request, by what its engines tell: which of them are to speak yet, and what
/// they may say. The tokens' order is `AnswerAssembler`'s to keep.
package enum AttemptMachine: Hashable, Sendable, CaseIterable {
  /// A hybrid engine answers.
  case hybrid
  /// Prefill was asked and has not accepted yet.
  case asked
  /// Both engines of a pair answer.
  case both
  /// One engine of the pair has said all that it had to say.
  case one
  /// Nobody says anything more.
  case over

  package enum Event: Hashable, Sendable, CaseIterable {
    case accepted
    case prefilled
    case chunk
    case ended
  }

  package enum Action: Hashable, Sendable {
    case nothing
    /// Ask decode to take the ticket over.
    case startDecode
    /// Tokens, or the end of the answer, to be put in their place.
    case take
    /// An answer that is not complete now never will be.
    case exhausted
    /// An engine said what it may not say now.
    case violation
  }

  /// Goes to the state after `event` and says what to do.
  package mutating func on(_ event: Event) -> Action {
    switch (self, event) {
    case (.asked, .accepted):
      self = .both
      return .startDecode
    case (.hybrid, .chunk), (.both, .prefilled), (.both, .chunk), (.one, .prefilled),
      (.one, .chunk):
      return .take
    case (.both, .ended):
      self = .one
      return .nothing
    case (.hybrid, .ended), (.asked, .ended), (.one, .ended):
      self = .over
      return .exhausted
    case (.over, _):
      return .nothing
    case (.hybrid, .accepted), (.hybrid, .prefilled), (.asked, .prefilled), (.asked, .chunk),
      (.both, .accepted), (.one, .accepted):
      self = .over
      return .violation
    }
  }
}
