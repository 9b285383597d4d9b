import ControlProtocol
import ProxyService
import TestSupport
import Testing

@Suite("Answer assembly")
struct AnswerAssemblerTests {
  @Test("Tokens come out once and in order, however chunks of two legs interleave and repeat")
  func anyInterleaving() {
    let answer: [Int32] = (0..<40).map { $0 * 3 }
    for seed in 0..<200 as Range<UInt64> {
      var generator = SplitMix64(seed: seed)
      var assembler = AnswerAssembler()
      // Chunks of one to five tokens, shuffled near their place, some of them twice.
      var chunks: [Range<Int>] = []
      var start = 0
      while start < answer.count {
        let end = min(answer.count, start + 1 + Int(generator.next() % 5))
        chunks.append(start..<end)
        if generator.next() % 3 == 0 { chunks.append(start..<end) }
        start = end
      }
      chunks.shuffle(using: &generator)
      var received: [Int32] = []
      for chunk in chunks {
        let isLast = chunk.upperBound == answer.count
        #expect(assembler.finish == nil || received.count == answer.count)
        received += assembler.accept(
          firstIndex: chunk.lowerBound, tokens: Array(answer[chunk]),
          finish: isLast ? .length : nil)
      }
      #expect(received == answer, "shuffle \(seed)")
      #expect(assembler.finish == .length)
    }
  }

  @Test("An end that is announced early waits for the tokens before it")
  func endWaits() {
    var assembler = AnswerAssembler()
    #expect(assembler.accept(firstIndex: 1, tokens: [8], finish: .stop).isEmpty)
    #expect(assembler.finish == nil)
    #expect(assembler.accept(firstIndex: 0, tokens: [7], finish: nil) == [7, 8])
    #expect(assembler.finish == .stop)
  }

  @Test("After a failed attempt only what was delivered counts")
  func restart() {
    var assembler = AnswerAssembler()
    #expect(assembler.accept(firstIndex: 0, tokens: [1], finish: nil) == [1])
    #expect(assembler.accept(firstIndex: 2, tokens: [3], finish: .length).isEmpty)
    assembler.restart()
    #expect(assembler.accept(firstIndex: 1, tokens: [2], finish: nil) == [2])
    #expect(assembler.finish == nil)
    #expect(assembler.delivered == [1, 2])
  }
}
