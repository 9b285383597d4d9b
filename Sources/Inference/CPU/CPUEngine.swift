package import KVCore
import Synchronization

/// Runs Llama checkpoints of Hugging Face on the CPU, with the same bits on every machine.
///
/// Weights are mapped and used in place; KV is read and written in the blocks that callers name.
package final class CPUEngine: Engine, @unchecked Sendable {
  // SAFETY: everything but the scratch and the team is constant; those belong to the one call of
  // `forward` that `isComputing` lets in.

  package let model: ModelDescription
  package let geometry: KVGeometry
  package var canBorrow: Bool { true }

  let configuration: ModelConfiguration
  let weights: LlamaWeights
  let scratch: ForwardScratch
  let team: KernelTeam
  let inverseFrequencies: FloatBuffer
  private let isComputing = Atomic(false)

  /// Loads the model in `directory`: config.json, tokenizer.json, and safetensors in one file or in
  /// shards with an index.
  ///
  /// `blockTokens` is the number of tokens of a KV block, `threads` how many threads compute, the
  /// caller's included. Every instruction set gives the same bits; tests choose a slower one.
  /// Throws `BatonError`, mostly `invalidArgument`, that names the file, the field, its value and
  /// what is allowed.
  package init(
    directory: String, kvDataType: KVDataType, blockTokens: Int = 16, threads: Int,
    instructionSet: InstructionSet = .fastest
  ) throws(BatonError) {
    guard (1...4096).contains(blockTokens) else {
      throw BatonError(.invalidArgument, "blockTokens is \(blockTokens); allowed: 1 to 4096")
    }
    let files = try ModelDirectory(path: directory)
    configuration = try ModelConfiguration(config: files.config, generation: files.generation)
    let checkpoint = try Checkpoint(directory: directory)
    weights = try LlamaWeights(configuration, from: checkpoint)
    team = try KernelTeam(threads: threads, instructionSet: instructionSet)
    scratch = ForwardScratch(configuration, threads: threads)
    inverseFrequencies = FloatBuffer(count: configuration.headDimension / 2)
    unsafe Self.fillInverseFrequencies(configuration, inverseFrequencies.start)
    geometry = KVGeometry(
      blockTokens: blockTokens,
      groups: [
        CacheGroup(
          layers: configuration.layers, keyValueHeads: configuration.keyValueHeads,
          headDimension: configuration.headDimension, dataType: kvDataType)
      ])
    model = ModelDescription(
      name: EmbeddedModel.isEmbedded(directory) ? EmbeddedModel.name : files.name,
      fingerprint: files.fingerprint(weights: checkpoint.files),
      contextTokens: configuration.contextTokens,
      vocabularySize: configuration.vocabularySize,
      endTokens: configuration.endTokens,
      assets: files.assets)
  }

  package func forward(
    _ slices: [SequenceSlice], observer: (any KVObserver)?
  ) throws(BatonError) -> [Float] {
    for (index, slice) in slices.enumerated() { try check(slice, index) }
    let entered = isComputing.exchange(true, ordering: .acquiring)
    precondition(!entered, "two threads called one engine at a time")
    defer { isComputing.store(false, ordering: .releasing) }
    let wanted = slices.count(where: \.wantsLogits)
    let vocabulary = configuration.vocabularySize
    return unsafe [Float](unsafeUninitializedCapacity: wanted * vocabulary) { buffer, count in
      // The base address is null only for an empty buffer, to which nothing is written.
      var next = buffer.baseAddress
      for pass in ForwardPass.plan(slices, maximumTokens: ForwardScratch.maximumTokens) {
        let rows = unsafe compute(pass, of: slices, observer: observer, logits: next)
        unsafe next = next.map { unsafe $0 + rows * vocabulary }
      }
      count = wanted * vocabulary
    }
  }

  private func check(_ slice: SequenceSlice, _ index: Int) throws(BatonError) {
    func refusal(_ reason: String) -> BatonError {
      BatonError(.invalidArgument, "slice \(index): \(reason)")
    }
    guard !slice.tokens.isEmpty else { throw refusal("has no tokens") }
    let vocabulary = configuration.vocabularySize
    if let token = slice.tokens.first(where: { !(0..<vocabulary).contains(Int($0)) }) {
      throw refusal("token \(token) is outside the vocabulary; allowed: 0 to \(vocabulary - 1)")
    }
    let context = configuration.contextTokens
    guard slice.firstPosition >= 0, slice.firstPosition <= context - slice.tokens.count else {
      throw refusal(
        "\(slice.tokens.count) tokens from position \(slice.firstPosition) do not fit the "
          + "context of \(context)")
    }
    let needed = geometry.blockCount(tokens: slice.firstPosition + slice.tokens.count)
    guard slice.blocks.count >= needed else {
      throw refusal("the block table has \(slice.blocks.count) blocks; \(needed) are needed")
    }
    let alignment = UInt(geometry.groups[0].dataType.byteCount)
    guard
      slice.blocks[..<needed].allSatisfy({ $0.rawValue != 0 && $0.rawValue % alignment == 0 })
    else {
      throw refusal("a block's address is zero or not a multiple of \(alignment)")
    }
  }
}
