import Foundation
import Testing

extension SystemTests {
  @Test("baton generate writes what the HTTP edge would, and wire ping shows the proxy")
  func clientCommands() async throws {
    let address = "unix:@baton-test-\(UInt64.random(in: 0 ... .max))"
    let key = FileManager.default.temporaryDirectory
      .appending(path: "baton-key-\(UInt64.random(in: 0 ... .max))").path()
    defer { try? FileManager.default.removeItem(atPath: key) }
    try (String(repeating: "5a", count: 32) + "\n").write(
      toFile: key, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
    let fleet = try await RunningFleet(["--control-address", address, "--cluster-key-file", key])
    let keyed = ["--cluster-key-file", key]

    let answer = try await fleet.complete(
      CompletionQuery(prompt: [300, 301, 302], max_tokens: 20, temperature: 0, seed: 1))
    #expect(answer.choices.count == 1)
    let generate = try ChildProcess(
      RunningFleet.baton,
      ["generate", "--control-address", address, "--temperature", "0", "--max-tokens", "20"]
        + keyed + ["Once upon a time"])
    await generate.waitForEndOfOutput()
    #expect(await generate.exitStatus() == 0)
    #expect(generate.lines.joined().count > 20, "\(generate.lines)")

    let ping = try ChildProcess(
      RunningFleet.baton, ["wire", "ping", address, "--count", "2"] + keyed)
    await ping.waitForEndOfOutput()
    #expect(await ping.exitStatus() == 0)
    for text in ["role         proxy", "cluster-key", "proof after", "pong 2"] {
      #expect(ping.lines.contains { $0.contains(text) }, "\(text): \(ping.lines)")
    }

    let stranger = try ChildProcess(RunningFleet.baton, ["wire", "ping", address])
    await stranger.waitForEndOfOutput()
    #expect(await stranger.exitStatus() == 1)
    #expect(stranger.lines.contains { $0.contains("has a cluster key") }, "\(stranger.lines)")
    #expect(await fleet.stop() == 0)
  }
}
