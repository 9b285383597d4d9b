import Inference
import KVCore
import Testing

@Suite("Golden values", .timeLimit(.minutes(1)))
struct GoldenTests {
  @Test(
    "Two hundred greedy tokens equal those of Hugging Face transformers",
    arguments: Fixture.allCases)
  func greedyTokensEqualTransformers(fixture: Fixture) throws {
    let golden = try fixture.golden()
    let engine = try fixture.engine()
    let memory = engine.memory()
    var sequence = golden.prompt
    var logits = try engine.logits(after: sequence, chunk: 512, in: memory)
    for expected in golden.tokens {
      let token = Sampler.sample(
        logits: logits[...], temperature: 0, seed: 0, position: sequence.count)
      try #require(token == expected, "at position \(sequence.count)")
      let slice = SequenceSlice(
        tokens: [token], firstPosition: sequence.count, blocks: memory.table, wantsLogits: true)
      logits = try engine.forward([slice], in: [memory])
      sequence.append(token)
    }
    #expect(golden.tokens.count == 200)
  }

  @Test("Logits equal those of Hugging Face transformers closely", arguments: Fixture.allCases)
  func logitsEqualTransformers(fixture: Fixture) throws {
    let golden = try fixture.golden()
    let engine = try fixture.engine()
    let logits = try engine.logits(
      after: golden.prompt, chunk: 512, in: engine.memory())
    try #require(logits.count == golden.logits.count)
    let scale = golden.logits.map(abs).max() ?? 0
    let worst = zip(logits, golden.logits).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst < 2e-5 * scale)
  }

  @Test("A bfloat16 cache changes the logits a little, and does change them")
  func bfloat16CacheIsClose() throws {
    let golden = try Fixture.golden32.golden()
    let engine = try Fixture.golden32.engine(.bfloat16)
    let logits = try engine.logits(
      after: golden.prompt, chunk: 512, in: engine.memory())
    let scale = golden.logits.map(abs).max() ?? 0
    let worst = zip(logits, golden.logits).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst < 0.05 * scale)
    #expect(worst > 1e-5 * scale)
  }
}
