import Inference
package import KVCore
package import KVPool

/// The checksums of a prompt's blocks, fed layer by layer while an engine writes them, when their
/// bytes are still near; one prompt is one slice of each call of the engine.
package final class PromptChecksums {
  private let pool: KVPool
  private let blocks: [BlockIndex]
  private let tokenCount: Int
  /// The bytes of each layer in a block, in the block's order.
  private let layers: [Range<Int>]
  /// Of the blocks that the positions under way fill, which follow those in `values`.
  private var open: [BlockChecksum] = []
  /// Of the blocks that are final, in the prompt's order.
  package private(set) var values: [UInt64] = []

  /// - Parameters:
  ///   - blocks: of `pool`, where the prompt's `tokenCount` tokens go; the last may be partly
  ///     filled, and is hashed with whatever it holds behind them.
  package init(pool: KVPool, blocks: [BlockIndex], tokenCount: Int) {
    self.pool = pool
    self.blocks = blocks
    self.tokenCount = tokenCount
    layers = pool.geometry.layerBytes
  }
}

extension PromptChecksums: KVObserver {
  package func stored(layer: Int, slice: Int, positions: Range<Int>) {
    let end =
      positions.upperBound == tokenCount
      ? blocks.count : positions.upperBound / pool.geometry.blockTokens
    let filled = blocks[values.count..<end]
    if layer == 0 { open = filled.map { _ in BlockChecksum() } }
    for (place, block) in filled.enumerated() {
      open[place].feed(layers[layer], of: block, in: pool)
    }
    guard layer == layers.count - 1 else { return }
    values += open.map { $0.finish() }
    open.removeAll(keepingCapacity: true)
  }
}
