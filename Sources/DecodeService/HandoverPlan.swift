package import BatonRuntime
package import KVCore

/// Which blocks of a sequence are borrowed and how many of our own it needs.
package struct HandoverPlan: Hashable, Sendable {
  /// Blocks that the ticket lists; the last may be partly filled.
  package let ticketBlocks: Int
  /// Whole blocks at the start that are read in place.
  package let borrowedBlocks: Int
  /// Blocks for everything else, up to the last token that the request may generate.
  package let ownBlocks: Int

  package init(tokenCount: Int, maximumTokens: Int, mode: HandoffMode, geometry: KVGeometry) {
    ticketBlocks = geometry.blockCount(tokens: tokenCount)
    borrowedBlocks = mode == .borrow ? tokenCount / geometry.blockTokens : 0
    ownBlocks = geometry.blockCount(tokens: tokenCount + maximumTokens) - borrowedBlocks
  }
}
