/// What the blocks of a plan must be: a plan with checks moves whole blocks only.
struct BlockChecks: Sendable {
  let blockBytes: Int
  /// Expected of each block, in the batch's order: XXH3 with 64 bits, of all its bytes.
  let checksums: [UInt64]
}

/// A block whose bytes are not what they should be; what a plan had after it was not copied.
struct BlockMismatch: Hashable, Sendable {
  /// The place of the block in `BlockChecks.checksums`.
  let position: Int
  /// The checksum of what was copied.
  let found: UInt64
}
