import Inference
import KVCore

/// Memory for KV blocks, filled with bytes that are not numbers: whoever reads what was not written
/// gets results that are not numbers either.
@safe final class BlockMemory {
  private let start: UnsafeMutableRawPointer
  private let blockBytes: Int
  let count: Int

  init(_ geometry: KVGeometry, blocks: Int) {
    count = blocks
    blockBytes = geometry.blockBytes.rawValue
    unsafe start = .allocate(byteCount: blockBytes * blocks, alignment: 64)
    unsafe start.initializeMemory(as: UInt8.self, repeating: 0xFF, count: blockBytes * blocks)
  }

  deinit { unsafe start.deallocate() }

  func address(_ block: Int) -> KVBlockAddress {
    unsafe KVBlockAddress(UInt(bitPattern: start + block * blockBytes))
  }

  /// All blocks in their order.
  var table: [KVBlockAddress] { (0..<count).map(address) }

  /// Whether no byte was written since the memory was made.
  var isUntouched: Bool {
    unsafe UnsafeRawBufferPointer(start: start, count: count * blockBytes).allSatisfy {
      $0 == 0xFF
    }
  }

  /// Copies block `source` of other memory to block `destination`, as a migration does.
  func copy(_ source: Int, of other: BlockMemory, to destination: Int) {
    unsafe (start + destination * blockBytes).copyMemory(
      from: other.start + source * blockBytes, byteCount: blockBytes)
  }
}

extension Engine {
  /// Memory for one sequence that fills the context.
  func memory() -> BlockMemory {
    BlockMemory(geometry, blocks: geometry.blockCount(tokens: model.contextTokens))
  }

  /// The logits after `tokens`, computed in slices of `chunk` tokens from the sequence's start.
  ///
  /// `table` is the sequence's block table where it is not all of `memory` in its order.
  func logits(
    after tokens: [TokenID], chunk: Int, in memory: BlockMemory, table: [KVBlockAddress]? = nil
  ) throws(BatonError) -> [Float] {
    var result: [Float] = []
    var position = 0
    while position < tokens.count {
      let end = min(position + chunk, tokens.count)
      let slice = SequenceSlice(
        tokens: Array(tokens[position..<end]), firstPosition: position,
        blocks: table ?? memory.table, wantsLogits: end == tokens.count)
      result = try forward([slice], in: [memory])
      position = end
    }
    return result
  }

  /// `forward` with the promise that `memories` outlive it: a block's address keeps nothing alive.
  func forward(
    _ slices: [SequenceSlice], in memories: [BlockMemory], observer: (any KVObserver)? = nil
  ) throws(BatonError) -> [Float] {
    defer { withExtendedLifetime(memories) {} }
    return try forward(slices, observer: observer)
  }
}

/// Pseudo-random tokens that are the same in every run.
func tokens(_ count: Int, seed: UInt64, vocabulary: Int = 256) -> [TokenID] {
  (0..<count).map {
    TokenID(Philox.uniform(seed: seed, position: $0) * Double(vocabulary))
  }
}

/// The numbers' bits, so that comparing also tells zeros and not-a-numbers apart.
func bits(_ numbers: [Float]) -> [UInt32] { numbers.map(\.bitPattern) }
