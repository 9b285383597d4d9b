import Benchmarks
import KVCore
import Testing

@Suite("Options of baton bench migrate")
struct MigrateOptionsTests {
  private static func options(
    mode: MigrateOptions.Mode = .copy, tokens: Int = 2_048, geometry: String = "llama-8b",
    blockBytes: Int? = nil, verify: MigrateOptions.Verify? = nil, seconds: Double = 1
  ) throws(BatonError) -> MigrateOptions {
    try MigrateOptions(
      transport: .shm, mode: mode, tokens: tokens, geometry: BenchmarkGeometry(geometry),
      blockBytes: blockBytes, placement: .scattered, verify: verify, pages: nil, seconds: seconds)
  }

  @Test("Tokens come to whole blocks of 16")
  func tokens() throws {
    let whole = try Self.options()
    #expect(whole.blocks == 128)
    #expect(whole.bytes == .mebibytes(256))
    #expect(try Self.options(tokens: 1).blocks == 1)
    #expect(try Self.options(tokens: 17).blocks == 2)
  }

  @Test("Another block size cuts the same bytes into other blocks")
  func blockBytes() throws {
    let options = try Self.options(blockBytes: 256 << 10)
    #expect(options.blocks == 1_024)
    #expect(options.blockBytes == .kibibytes(256))
    #expect(options.bytes == .mebibytes(256))
  }

  @Test(
    "Blocks that hold no whole tokens are refused with the size of one", arguments: [0, 1, 4096])
  func blockBytesRefused(bytes: Int) {
    let error = #expect(throws: BatonError.self) { try Self.options(blockBytes: bytes) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("131072") == true)
  }

  @Test("No tokens, too many, and a time that is none are refused")
  func refused() {
    for tokens in [0, -1, Limits.maximumPromptTokens + 1] {
      #expect(throws: BatonError.self) { try Self.options(tokens: tokens) }
    }
    for seconds in [-1, 61, .nan, .infinity] {
      #expect(throws: BatonError.self) { try Self.options(seconds: seconds) }
    }
  }

  @Test("Copies are verified unless they are not to be; borrowing has no checksums to check")
  func verify() throws {
    #expect(try Self.options(mode: .copy).verify == .full)
    #expect(try Self.options(mode: .copy, verify: .off).verify == .off)
    #expect(try Self.options(mode: .borrow).verify == .off)
    #expect(throws: BatonError.self) { try Self.options(mode: .borrow, verify: .full) }
  }

  @Test("Pools that the memory does not hold are refused with the numbers")
  func memory() throws {
    let options = try Self.options()
    try options.requireMemory(available: .mebibytes(1_024))
    let error = #expect(throws: BatonError.self) {
      try options.requireMemory(available: .mebibytes(1_023))
    }
    #expect(error?.code == .resourceExhausted)
    #expect(error?.message.contains("256 MiB and 256 MiB, 1 GiB with 512 MiB to spare") == true)
    // The largest that there can be.
    let largest = try Self.options(
      tokens: Limits.maximumPromptTokens, geometry: "512,1024,1024,f32")
    #expect(throws: BatonError.self) { try largest.requireMemory(available: ByteCount(1 << 53)) }
  }

  @Test("Borrowing needs room for its plain copies only")
  func borrowMemory() throws {
    let options = try Self.options(mode: .borrow, tokens: 131_072, geometry: "2,8,128,bf16")
    #expect(options.bytes == .mebibytes(1_024))
    try options.requireMemory(available: .mebibytes(1_024 + 256 + 512))
  }

  @Test(
    "Scattered blocks are all of them, and none follows its neighbour",
    arguments: [1, 2, 3, 4, 8, 1_001])
  func scattered(count: UInt32) {
    let run = [BlockRange(first: BlockIndex(5), count: count)]
    #expect(MigrateOptions.Placement.contiguous.ranges(of: run, seed: 1) == run)
    let ranges = MigrateOptions.Placement.scattered.ranges(of: run, seed: 1)
    #expect(ranges.allSatisfy { $0.count == 1 })
    #expect(Set(ranges.map(\.first)) == Set((5..<5 + count).map { BlockIndex($0) }))
    #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.end != Int($1.first.rawValue) })
    #expect(MigrateOptions.Placement.scattered.ranges(of: run, seed: 1) == ranges)
    for seed in 2..<100 as Range<UInt64> {
      let ranges = MigrateOptions.Placement.scattered.ranges(of: run, seed: seed)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.end != Int($1.first.rawValue) })
    }
  }
}
