import KVCore

/// What the owner of a pool writes into the blocks of a sequence, and its reader must find: other
/// words in every block and every run, so that nothing old or misplaced can pass for it.
package struct BlockPattern: Sendable {
  /// Of one run; both processes have it.
  package let seed: UInt64

  package init(seed: UInt64) { self.seed = seed }

  /// Word `index` of a block: no two words of one are the same.
  private static func word(_ index: Int, from start: UInt64) -> UInt64 {
    mix(start &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
  }

  /// An invertible mix of 64 bits (Steele et al., SplitMix, OOPSLA 2014).
  static func mix(_ input: UInt64) -> UInt64 {
    var value = input
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  private func start(of position: Int) -> UInt64 {
    Self.word(position, from: seed)
  }

  /// Writes the words of the block at `position` of the sequence.
  package func fill(_ words: inout MutableSpan<UInt64>, position: Int) {
    let start = start(of: position)
    for index in words.indices { words[index] = Self.word(index, from: start) }
  }

  /// The first word that is not the pattern's, or nil.
  package func firstDifference(in words: borrowing Span<UInt64>, position: Int) -> Int? {
    let start = start(of: position)
    for index in words.indices where words[index] != Self.word(index, from: start) { return index }
    return nil
  }
}
