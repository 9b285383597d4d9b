package import KVCore

/// The address in this process of one KV block, in memory of our own or borrowed from a peer.
package struct KVBlockAddress: Hashable, Sendable {
  package let rawValue: UInt

  package init(_ rawValue: UInt) { self.rawValue = rawValue }
}

/// A run of tokens of one sequence that one forward pass computes.
///
/// A prefill chunk has many tokens, a decode step one; the engine makes no other difference.
package struct SequenceSlice: Sendable {
  /// The tokens at positions `firstPosition ..< firstPosition + tokens.count`; at least one.
  package var tokens: [TokenID]
  package var firstPosition: Int
  /// The sequence's block table: block i holds positions `i * blockTokens ..< (i+1) * blockTokens`.
  /// The blocks that this slice writes (its own positions) must be writable; earlier ones are
  /// only read and may be borrowed.
  package var blocks: [KVBlockAddress]
  /// Whether the logits of the slice's last token are wanted.
  package var wantsLogits: Bool

  package init(
    tokens: [TokenID], firstPosition: Int, blocks: [KVBlockAddress], wantsLogits: Bool
  ) {
    self.tokens = tokens
    self.firstPosition = firstPosition
    self.blocks = blocks
    self.wantsLogits = wantsLogits
  }
}

/// Follows an engine as it writes KV, on the thread that called `forward`.
package protocol KVObserver: AnyObject {
  /// K and V of `layer` are stored for the positions of `slice`, its place in the call, up to the
  /// end of `positions`, and are not written again. `positions` are those that are new.
  ///
  /// For the same positions the layers come in their order; a long slice comes in several runs of
  /// positions, each through all layers before the next.
  func stored(layer: Int, slice: Int, positions: Range<Int>)
}

/// What computes: tokens in, KV blocks and logits out.
///
/// One thread calls an engine at a time. The same tokens at the same positions give the same bits,
/// whatever else is in the batch, however a prompt is cut into slices and wherever the blocks lie.
package protocol Engine: AnyObject, Sendable {
  var model: ModelDescription { get }
  var geometry: KVGeometry { get }
  /// Whether attention may read blocks in place in a peer's memory.
  var canBorrow: Bool { get }

  /// Computes all slices in one pass, writes their KV, and returns the logits of those that want
  /// them: `[wanted slices, vocabularySize]`, in the slices' order.
  ///
  /// - Parameter observer: told of each layer when its KV is stored.
  ///
  /// Throws `BatonError` with `invalidArgument` for a token outside the vocabulary, a position
  /// past the context, or a block table that is too short; nothing is then written.
  func forward(
    _ slices: [SequenceSlice], observer: (any KVObserver)?
  ) throws(BatonError) -> [Float]
}

extension Engine {
  /// `forward` that nobody follows.
  package func forward(_ slices: [SequenceSlice]) throws(BatonError) -> [Float] {
    try forward(slices, observer: nil)
  }
}

/// What the services need to know of a loaded model.
package struct ModelDescription: Sendable {
  /// The directory's name, or `baton-stories` for the embedded model.
  package var name: String
  /// SHA-256 over config.json, tokenizer.json, generation_config.json and the weights; 32 bytes.
  package var fingerprint: [UInt8]
  package var contextTokens: Int
  package var vocabularySize: Int
  package var endTokens: [TokenID]
  /// Files that the proxy works with, by name: tokenizer.json.
  package var assets: [String: [UInt8]]

  package init(
    name: String, fingerprint: [UInt8], contextTokens: Int, vocabularySize: Int,
    endTokens: [TokenID], assets: [String: [UInt8]]
  ) {
    self.name = name
    self.fingerprint = fingerprint
    self.contextTokens = contextTokens
    self.vocabularySize = vocabularySize
    self.endTokens = endTokens
    self.assets = assets
  }
}
