package import ControlProtocol
package import KVCore

/// Puts the tokens of one attempt in order, whichever leg they come from first.
///
/// Invariant: `delivered` holds the answer's tokens `0 ..< delivered.count` without gaps, and
/// `early` only tokens with larger indices.
package struct AnswerAssembler: Sendable {
  package private(set) var delivered: [TokenID] = []
  package init() {}

  private var early: [Int: TokenID] = [:]
  private var end: (index: Int, reason: FinishReason)?

  /// Takes tokens whose first has the given index in the answer; repeats are dropped.
  /// Returns the tokens that are now next in order.
  package mutating func accept(firstIndex: Int, tokens: [TokenID], finish: FinishReason?)
    -> [TokenID]
  {
    for (offset, token) in tokens.enumerated() where firstIndex + offset >= delivered.count {
      early[firstIndex + offset] = token
    }
    if let finish { end = (firstIndex + tokens.count, finish) }
    let before = delivered.count
    while let token = early.removeValue(forKey: delivered.count) { delivered.append(token) }
    return Array(delivered[before...])
  }

  /// Why the answer ended, once every token before the end has been delivered.
  package var finish: FinishReason? {
    guard let end, delivered.count >= end.index else { return nil }
    return end.reason
  }

  /// Forgets what a failed attempt had announced beyond the delivered tokens.
  package mutating func restart() {
    early.removeAll()
    end = nil
  }
}
