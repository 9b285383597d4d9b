/// How the numbers of a KV cache are stored. The raw values are those of `baton.v1.DataType`.
package enum KVDataType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case float32 = 1
  case bfloat16 = 2

  package var byteCount: Int {
    switch self {
    case .float32: 4
    case .bfloat16: 2
    }
  }

  /// The spelling of `--kv-dtype`.
  package var description: String {
    switch self {
    case .float32: "f32"
    case .bfloat16: "bf16"
    }
  }
}

/// Layers whose caches have the same shape.
///
/// Today's one kind is grouped-query attention: for each layer K, then V, each
/// `[keyValueHeads, blockTokens, headDimension]`. Others join as further kinds.
package struct CacheGroup: Hashable, Sendable, CustomStringConvertible {
  package let layers: Int
  package let keyValueHeads: Int
  package let headDimension: Int
  package let dataType: KVDataType

  package init(layers: Int, keyValueHeads: Int, headDimension: Int, dataType: KVDataType) {
    self.layers = layers
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.dataType = dataType
  }

  /// K and V of all layers of the group for one token.
  package var bytesPerToken: ByteCount {
    ByteCount(layers * 2 * keyValueHeads * headDimension * dataType.byteCount)
  }

  package var description: String {
    "\(layers) layers x \(keyValueHeads) KV heads x \(headDimension) \(dataType)"
  }
}

/// The shape of a KV block: block-major, all groups and layers of `blockTokens` tokens in one
/// piece.
package struct KVGeometry: Hashable, Sendable, CustomStringConvertible {
  package let blockTokens: Int
  package let groups: [CacheGroup]

  package init(blockTokens: Int, groups: [CacheGroup]) {
    self.blockTokens = blockTokens
    self.groups = groups
  }

  package var bytesPerToken: ByteCount {
    groups.reduce(.zero) { $0 + $1.bytesPerToken }
  }

  package var blockBytes: ByteCount { bytesPerToken * blockTokens }

  /// Where each layer's K and V lie in a block, in bytes from its first, layer after layer.
  package var layerBytes: [Range<Int>] {
    var end = 0
    return groups.flatMap { group in
      let bytes = (group.bytesPerToken * blockTokens).rawValue / group.layers
      return (0..<group.layers).map { _ in
        defer { end += bytes }
        return end..<end + bytes
      }
    }
  }

  /// How many blocks hold `tokens` tokens; the last may be partly filled.
  package func blockCount(tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }

  package var description: String {
    "\(blockTokens) tokens a block, "
      + groups.map(\.description).joined(separator: " + ") + ", \(blockBytes) a block"
  }
}
