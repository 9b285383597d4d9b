import Foundation
import Testing

extension SystemTests {
  @Test(
    "baton bench migrate hands KV over between two processes and finds the bytes right",
    arguments: [
      (["--mode", "copy"], blocks: 63, verify: "full"),
      (["--mode", "copy", "--transport", "tcp"], blocks: 63, verify: "full"),
      (["--mode", "copy", "--pages", "4k"], blocks: 63, verify: "full"),
      (
        ["--mode", "copy", "--verify", "off", "--blocks", "scattered", "--block-bytes", "12288"],
        blocks: 125, verify: "off"
      ),
      (["--mode", "borrow", "--blocks", "scattered"], blocks: 63, verify: "off"),
    ])
  func benchMigrate(flags: [String], blocks: Int, verify: String) async throws {
    let arguments = ["--tokens", "1000", "--geometry", "embedded", "--seconds", "0", "--json"]
    let bench = try ChildProcess(RunningFleet.baton, ["bench", "migrate"] + arguments + flags)
    let status = await bench.exitStatus()
    #expect(status == 0, "\(bench.lines.joined(separator: "\n"))")
    #expect(bench.lines.count == 1)
    let line = Data((bench.lines.first ?? "").utf8)
    let object = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
    #expect(object.count == 15)
    #expect(object["mode"] as? String == flags[1])
    #expect(object["tokens"] as? Int == 1_000)
    #expect(object["blocks"] as? Int == blocks)
    #expect(object["bytes"] as? Int == blocks * (flags.contains("12288") ? 12_288 : 24_576))
    #expect(object["verify"] as? String == verify)
    if flags.contains("4k") { #expect(object["pages"] as? String == "4k") }
    for key in ["p50_us", "p99_us", "gigabytes_per_second", "limit_gigabytes_per_second", "ratio"] {
      #expect((object[key] as? Double ?? 0) > 0, "\(key)")
    }
  }

  @Test(
    "The second process of a benchmark ends when the first one is killed", .timeLimit(.minutes(1)))
  func benchKilled() async throws {
    let bench = try ChildProcess(
      RunningFleet.baton,
      ["bench", "migrate", "--tokens", "16", "--geometry", "embedded", "--seconds", "60"])
    var owner: Int32?
    while owner == nil {
      try Task.checkCancellation()
      owner = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap(Int32.init)
        .first { process in
          ProcessTable.parent(of: process) == bench.processID
            && ProcessTable.arguments(of: process)?.contains("pool-owner") == true
        }
    }
    bench.signal(SIGKILL)
    #expect(await bench.exitStatus() == 128 + SIGKILL)
    while let owner, ProcessTable.isRunning(owner) { try Task.checkCancellation() }
  }

  @Test("A benchmark that does not fit says so with the numbers")
  func benchTooLarge() async throws {
    let bench = try ChildProcess(RunningFleet.baton, ["bench", "migrate", "--tokens", "1048576"])
    #expect(await bench.exitStatus() == 1)
    #expect(bench.lines.first?.contains("the pools take 128 GiB and 128 GiB") == true)
  }
}
