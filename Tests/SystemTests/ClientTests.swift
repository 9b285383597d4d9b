import Foundation
import Testing

extension SystemTests {
  /// The interpreter of the environment that `Tools/test` makes; it has the `openai` package.
  private static let python = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent(".build/python/bin/python").path

  @Test(
    "The openai Python client gets whole and streamed completions and typed errors",
    .enabled(
      if: FileManager.default.isExecutableFile(atPath: python),
      "Tools/test makes the Python environment"))
  func openAIClient() async throws {
    let fleet = try await RunningFleet([])
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("openai_client.py").path
    let client = try ChildProcess(Self.python, [script, fleet.url])
    let status = await client.exitStatus()
    #expect(status == 0, "\(client.lines.joined(separator: "\n"))")
    #expect(await fleet.stop() == 0)
  }

  @Test("The log has a hand-over's time line, by a clock that both engines share")
  func timeLine() async throws {
    let fleet = try await RunningFleet([])
    _ = try await fleet.complete(CompletionQuery(prompt: Self.prompts[5]))
    var times: [Int] = []
    for (engine, event) in [
      ("prefill-0", " prefilled "), ("decode-0", " KV arrived "), ("decode-0", " first own token "),
    ] {
      let time = try await fleet.up.first { line -> Int? in
        guard line.hasPrefix(engine), line.contains(event) else { return nil }
        return line.firstMatch(of: /at_us=([0-9]+)/).flatMap { Int($0.1) }
      }
      times.append(time)
    }
    #expect(times == times.sorted())
    #expect(await fleet.stop() == 0)
  }

  @Test("The edge answers health, readiness, models and metrics, and shapes its errors")
  func edge() async throws {
    let fleet = try await RunningFleet([])
    #expect(try await fleet.status("/health") == 200)
    #expect(try await fleet.status("/readiness") == 200)
    #expect(try await fleet.status("/v1/models") == 200)
    #expect(try await fleet.status("/metrics") == 200)
    #expect(try await fleet.status("/nowhere") == 404)
    let answer = try await fleet.complete(CompletionQuery(prompt: Self.prompts[5]))
    #expect(answer.baton?.prefill == "prefill-0")
    #expect(answer.baton?.decode == "decode-0")
    #expect(await fleet.stop() == 0)
  }
}
