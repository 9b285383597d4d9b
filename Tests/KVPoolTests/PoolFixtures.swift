import Glibc
import KVCore
import KVPool
import Platform

/// Blocks of 4 KiB: 16 tokens of two layers with two heads of four floats.
let smallGeometry = KVGeometry(
  blockTokens: 16,
  groups: [CacheGroup(layers: 4, keyValueHeads: 2, headDimension: 4, dataType: .float32)])

func makePool(blocks: Int, geometry: KVGeometry = smallGeometry) throws(BatonError) -> KVPool {
  try KVPool(geometry: geometry, blockCount: blocks)
}

func peerID() throws(BatonError) -> EngineID { try EngineID("prefill-0") }

/// What a peer makes of the descriptor that it was sent.
func openAsPeer(
  _ file: SharedMemoryFile, minimumLength: ByteCount = ByteCount(1)
) throws(BatonError) -> PeerMemory {
  try file.withDescriptor { (descriptor) throws(BatonError) in
    try PeerMemory(
      received: FileDescriptor(owning: dup(descriptor.rawValue)), minimumLength: minimumLength,
      peer: try peerID())
  }
}

func openAsPeer(_ pool: KVPool) throws(BatonError) -> PeerPool {
  try PeerPool(memory: try openAsPeer(pool.file), layout: pool.layout, peer: try peerID())
}

func ranges(_ pairs: (UInt32, UInt32)...) -> [BlockRange] {
  pairs.map { BlockRange(first: BlockIndex($0.0), count: $0.1) }
}
