import Benchmarks
import Foundation
import KVCore
import Testing

@Suite("What baton bench migrate prints")
struct MigrateResultTests {
  private static func result() throws -> MigrateResult {
    MigrateResult(
      options: try MigrateOptions(
        transport: .shm, mode: .copy, tokens: 2_048, geometry: .llama8B, blockBytes: 256 << 10,
        placement: .scattered, verify: .off, pages: nil, seconds: 1),
      pages: "huge", threads: 1, p50: .microseconds(12_500), p99: .microseconds(20_250),
      limit: .milliseconds(12), limitName: "libc", limitProcessorTime: .milliseconds(9),
      processorTime: .milliseconds(10), rounds: 10)
  }

  @Test("JSON has exactly the keys that were agreed, in one line, and their values")
  func json() throws {
    let json = try Self.result().json
    #expect(!json.contains("\n"))
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    #expect(
      Set(object.keys) == [
        "transport", "mode", "blocks", "block_bytes", "tokens", "bytes", "p50_us", "p99_us",
        "gigabytes_per_second", "limit_gigabytes_per_second", "ratio", "verify", "pages", "threads",
        "cpu_seconds_per_gib",
      ])
    #expect(object["transport"] as? String == "shm")
    #expect(object["mode"] as? String == "copy")
    #expect(object["blocks"] as? Int == 1_024)
    #expect(object["block_bytes"] as? Int == 262_144)
    #expect(object["tokens"] as? Int == 2_048)
    #expect(object["bytes"] as? Int == 268_435_456)
    #expect(object["p50_us"] as? Double == 12_500)
    #expect(object["p99_us"] as? Double == 20_250)
    // 268,435,456 bytes in 12.5 ms and in 12 ms.
    #expect(object["gigabytes_per_second"] as? Double == 21.475)
    #expect(object["limit_gigabytes_per_second"] as? Double == 22.37)
    #expect(object["ratio"] as? Double == 0.96)
    #expect(object["verify"] as? String == "off")
    #expect(object["pages"] as? String == "huge")
    #expect(object["threads"] as? Int == 1)
    #expect(object["cpu_seconds_per_gib"] as? Double == 0.04)
  }

  @Test("The table for people has the limit beside the figure")
  func table() throws {
    let table = try Self.result().table
    #expect(table.contains("1024 blocks of 256 KiB, scattered, 256 MiB"))
    for text in ["12500.0", "20250.0", "21.47", "22.37", "limit (libc)", "0.960"] {
      #expect(table.contains(text), "\(text)")
    }
  }

  @Test(
    "Numbers are rounded to the nearest and keep their noughts",
    arguments: [(0.0, 3, "0.000"), (1.0005, 2, "1.00"), (0.0996, 3, "0.100"), (2.5, 0, "3")])
  func decimals(value: Double, digits: Int, text: String) {
    #expect(MigrateResult.decimal(value, digits) == text)
  }

  @Test("A percentile is the smallest time that enough of all do not exceed")
  func percentiles() {
    var samples = Samples()
    #expect(samples.percentile(0.5) == nil)
    for value in [5, 1, 4, 2, 3] { samples.add(.microseconds(value)) }
    #expect(samples.count == 5)
    #expect(samples.percentile(0.5) == .microseconds(3))
    #expect(samples.percentile(0.2) == .microseconds(1))
    #expect(samples.percentile(0.21) == .microseconds(2))
    #expect(samples.percentile(0.99) == .microseconds(5))
    #expect(samples.percentile(1) == .microseconds(5))
    for value in 6...100 { samples.add(.microseconds(value)) }
    #expect(samples.percentile(0.5) == .microseconds(50))
    #expect(samples.percentile(0.99) == .microseconds(99))
  }
}
