import Benchmarks
import Testing

@Suite("What a benchmark writes into blocks")
struct BlockPatternTests {
  private static func words(_ pattern: BlockPattern, position: Int) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: 512)
    var span = words.mutableSpan
    pattern.fill(&span, position: position)
    return words
  }

  @Test("A block is recognised at its place, in its run, and nowhere else")
  func recognised() {
    let words = Self.words(BlockPattern(seed: 7), position: 3)
    #expect(BlockPattern(seed: 7).firstDifference(in: words.span, position: 3) == nil)
    #expect(BlockPattern(seed: 7).firstDifference(in: words.span, position: 4) == 0)
    #expect(BlockPattern(seed: 8).firstDifference(in: words.span, position: 3) == 0)
  }

  @Test("One wrong bit anywhere is found", arguments: [0, 1, 255, 511])
  func wrongBit(place: Int) {
    var words = Self.words(BlockPattern(seed: 7), position: 0)
    words[place] ^= 1 << 40
    #expect(BlockPattern(seed: 7).firstDifference(in: words.span, position: 0) == place)
  }

  @Test("No word comes twice in a block")
  func distinct() {
    #expect(Set(Self.words(BlockPattern(seed: 7), position: 9)).count == 512)
  }
}
