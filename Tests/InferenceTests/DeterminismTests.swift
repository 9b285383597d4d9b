import Inference
import KVCore
import Testing

/// What lets a sequence move between engines: nothing but its tokens has a part in its bits.
@Suite("The same bits", .timeLimit(.minutes(1)))
struct DeterminismTests {
  /// How an engine is set up, beside the reference: float32 or bfloat16 caches of either model.
  struct Setting: Sendable, CustomStringConvertible {
    let fixture: Fixture
    let dataType: KVDataType
    var description: String { "\(fixture.rawValue) with a cache of \(dataType)" }

    static let all = Fixture.allCases.flatMap { fixture in
      KVDataType.allCases.map { Setting(fixture: fixture, dataType: $0) }
    }

    func engine(
      threads: Int = 1, blockTokens: Int = 16, instructionSet: InstructionSet = .fastest
    ) throws -> CPUEngine {
      try fixture.engine(
        dataType, blockTokens: blockTokens, threads: threads, instructionSet: instructionSet)
    }
  }

  private static let prompt = tokens(150, seed: 1)

  private func reference(_ setting: Setting) throws -> [UInt32] {
    let engine = try setting.engine()
    let logits = try engine.logits(
      after: Self.prompt, chunk: Self.prompt.count, in: engine.memory())
    let isFinite = logits.allSatisfy { $0.isFinite }
    try #require(isFinite)
    return bits(logits)
  }

  @Test(
    "Any cut of the prompt, one token at a time included, gives the same logits",
    arguments: Setting.all, [1, 7, 16, 31, 149])
  func chunking(setting: Setting, chunk: Int) throws {
    let engine = try setting.engine()
    let logits = try engine.logits(
      after: Self.prompt, chunk: chunk, in: engine.memory())
    #expect(bits(logits) == (try reference(setting)))
  }

  @Test(
    "Any number of threads and any block size give the same logits",
    arguments: Setting.all, [(1, 5), (2, 16), (3, 1), (3, 64)])
  func threads(setting: Setting, threadsAndBlockTokens: (Int, Int)) throws {
    let (threads, blockTokens) = threadsAndBlockTokens
    let engine = try setting.engine(threads: threads, blockTokens: blockTokens)
    let logits = try engine.logits(after: Self.prompt, chunk: 64, in: engine.memory())
    #expect(bits(logits) == (try reference(setting)))
  }

  @Test(
    "Every instruction set gives the same logits",
    arguments: Setting.all, InstructionSet.allCases)
  func instructionSets(setting: Setting, instructionSet: InstructionSet) throws {
    guard instructionSet.isAvailable else {
      print("SKIPPED: this CPU cannot run the \(instructionSet) kernels")
      return
    }
    let engine = try setting.engine(instructionSet: instructionSet)
    let logits = try engine.logits(after: Self.prompt, chunk: 64, in: engine.memory())
    #expect(bits(logits) == (try reference(setting)))
  }

  @Test("Other sequences in the batch change nothing", arguments: Setting.all)
  func batches(setting: Setting) throws {
    let engine = try setting.engine(threads: 2)
    let memory = engine.memory()
    let others = (0..<5).map { _ in engine.memory() }
    _ = try engine.logits(
      after: Array(Self.prompt.dropLast(9)), chunk: 64, in: memory)
    let rest = SequenceSlice(
      tokens: Array(Self.prompt.suffix(9)), firstPosition: Self.prompt.count - 9,
      blocks: memory.table, wantsLogits: true)
    // Together more than one pass takes, so that the sequence is cut inside the batch as well.
    let batch = others.enumerated().map { index, other in
      SequenceSlice(
        tokens: tokens(101 + index, seed: UInt64(index)), firstPosition: 0, blocks: other.table,
        wantsLogits: index % 2 == 0)
    }
    let logits = try engine.forward(
      Array(batch[..<3]) + [rest] + Array(batch[3...]), in: others + [memory])
    let vocabulary = engine.model.vocabularySize
    #expect(logits.count == 4 * vocabulary)
    let own = Array(logits[(2 * vocabulary)..<(3 * vocabulary)])
    #expect(bits(own) == (try reference(setting)))
    let first = try engine.logits(
      after: batch[0].tokens, chunk: 512, in: engine.memory())
    #expect(bits(Array(logits[..<vocabulary])) == bits(first))
  }

  @Test("More tokens than one pass takes give the logits of short slices", arguments: Setting.all)
  func longCalls(setting: Setting) throws {
    let engine = try setting.engine(threads: 2)
    let vocabulary = engine.model.vocabularySize
    let slices = (0..<3).map { index in
      (tokens: tokens(400 + index, seed: UInt64(index)), memory: engine.memory())
    }
    let together = try engine.forward(
      slices.map {
        SequenceSlice(
          tokens: $0.tokens, firstPosition: 0, blocks: $0.memory.table, wantsLogits: true)
      }, in: slices.map(\.memory))
    for (index, slice) in slices.enumerated() {
      let alone = try engine.logits(
        after: slice.tokens, chunk: 50, in: engine.memory())
      let row = Array(together[(index * vocabulary)..<((index + 1) * vocabulary)])
      #expect(bits(row) == bits(alone))
    }
  }

  @Test(
    "Scattered blocks, some of them in memory of somebody else, give the same logits",
    arguments: Setting.all)
  func scatteredBlocks(setting: Setting) throws {
    let prefill = try setting.engine(threads: 2)
    let lent = prefill.memory()
    let lentTable = Array(lent.table.reversed())
    _ = try prefill.logits(
      after: Array(Self.prompt[..<70]), chunk: 33, in: lent, table: lentTable)
    // Four whole blocks are read where they are; the fifth is partly filled, so it is copied.
    let decode = try setting.engine()
    let own = decode.memory()
    var table = Array(lentTable[..<4])
    table += stride(from: 5, to: own.count, by: 2).map(own.address)
    own.copy(lent.count - 1 - 4, of: lent, to: 5)
    var logits: [Float] = []
    for position in 70..<Self.prompt.count {
      let slice = SequenceSlice(
        tokens: [Self.prompt[position]], firstPosition: position, blocks: table,
        wantsLogits: true)
      logits = try decode.forward([slice], in: [lent, own])
    }
    #expect(bits(logits) == (try reference(setting)))
  }
}
