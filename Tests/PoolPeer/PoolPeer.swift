import Glibc
import KVCore

/// A second process for tests: it owns a pool and lends it, reads another's, or hands out what is
/// no pool. Commands come line by line on standard input, and each is answered on standard output.
@main
struct PoolPeer {
  static func main() {
    do {
      switch (CommandLine.arguments.dropFirst().first, CommandLine.arguments.dropFirst(2)) {
      case ("owner", let settings): try Owner(PoolSettings(settings)).run()
      case ("reader", let settings): try Reader(PoolSettings(settings)).run()
      case ("impostor", let settings):
        try Impostor(PoolSettings(settings), kind: settings.last ?? "").run()
      default: throw BatonError(.invalidArgument, "the first argument is the role")
      }
    } catch {
      Dialogue.say("failed \(error)")
      exit(1)
    }
  }
}

/// What both processes of a test are started with.
struct PoolSettings {
  let engine: EngineID
  let incarnation = Incarnation.random()
  let blockCount: Int
  let geometry: KVGeometry

  /// - Parameter words: the engine's name, the number of blocks, the tokens of a block. A token
  ///   takes 256 bytes.
  init(_ words: ArraySlice<String>) throws(BatonError) {
    let words = Array(words)
    guard words.count >= 3, let blocks = Int(words[1]), let tokens = Int(words[2]) else {
      throw BatonError(.invalidArgument, "engine, blocks and tokens of a block are needed")
    }
    engine = try EngineID(words[0])
    blockCount = blocks
    geometry = KVGeometry(
      blockTokens: tokens,
      groups: [CacheGroup(layers: 4, keyValueHeads: 2, headDimension: 4, dataType: .float32)])
  }

  var blockBytes: Int { geometry.blockBytes.rawValue }
}
