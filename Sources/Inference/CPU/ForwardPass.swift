/// A part of a call's slices that goes through the layers together.
struct ForwardPass {
  /// A run of tokens of one slice.
  struct Piece {
    /// The slice's place in the call.
    let slice: Int
    /// From the slice's first token.
    let offset: Int
    let count: Int
  }

  private(set) var pieces: [Piece] = []
  private(set) var tokenCount = 0

  /// Cuts `slices` into passes of at most `maximumTokens` tokens, in their order.
  ///
  /// A sequence's later tokens come in the same or a later pass, so their KV is always there.
  static func plan(_ slices: [SequenceSlice], maximumTokens: Int) -> [ForwardPass] {
    var passes: [ForwardPass] = []
    var pass = ForwardPass()
    for (index, slice) in slices.enumerated() {
      var offset = 0
      while offset < slice.tokens.count {
        let count = min(slice.tokens.count - offset, maximumTokens - pass.tokenCount)
        pass.pieces.append(Piece(slice: index, offset: offset, count: count))
        pass.tokenCount += count
        offset += count
        if pass.tokenCount == maximumTokens {
          passes.append(pass)
          pass = ForwardPass()
        }
      }
    }
    if pass.tokenCount > 0 { passes.append(pass) }
    return passes
  }
}
