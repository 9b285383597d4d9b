import Foundation
import Testing

/// `baton up` with a proxy that answers, on a port of its own.
final class RunningFleet: Sendable {
  let up: ChildProcess
  let url: String

  /// Starts the fleet and waits until it is ready.
  init(_ flags: [String], environment: [String: String] = [:]) async throws {
    up = try ChildProcess(
      Self.baton, ["up", "--port", "0"] + flags, environment: environment)
    url = try await up.first { line in
      line.firstMatch(of: /(http:\/\/127\.0\.0\.1:[0-9]+)/).map { String($0.1) }
    }
    #expect(try await status("/readiness", patience: true) == 200)
  }

  /// The binary that was built beside the tests.
  static let baton =
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appendingPathComponent("baton").path

  /// Stops the fleet as Ctrl-C does and returns its exit status.
  func stop() async -> Int32 {
    up.signal(SIGINT)
    return await up.exitStatus()
  }

  /// The id of the process that now runs under a name, for example `prefill-0`.
  func processID(of name: String) throws -> Int32 {
    let own = up.processID
    for entry in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      guard let process = Int32(entry), ProcessTable.parent(of: process) == own,
        let arguments = ProcessTable.arguments(of: process),
        let flag = arguments.firstIndex(of: "--name"), arguments.dropFirst(flag + 1).first == name
      else { continue }
      return process
    }
    throw OutputEnded(lines: ["no process runs as \(name)"] + up.lines)
  }

  /// All processes of the fleet but `up` itself.
  func children() throws -> [Int32] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap(Int32.init)
      .filter { ProcessTable.parent(of: $0) == up.processID }
  }

  /// One whole answer.
  func complete(_ query: CompletionQuery) async throws -> CompletionAnswer {
    let body = try JSONEncoder().encode(query)
    let curl = try curl(["-d", String(decoding: body, as: UTF8.self), url + "/v1/completions"])
    await curl.waitForEndOfOutput()
    let text = curl.lines.joined(separator: "\n")
    do {
      return try JSONDecoder().decode(CompletionAnswer.self, from: Data(text.utf8))
    } catch {
      throw OutputEnded(lines: [text])
    }
  }

  /// The statuses of `count` answers, asked for one after the other over one connection.
  func statuses(of query: CompletionQuery, count: Int) async throws -> [Int] {
    let body = String(decoding: try JSONEncoder().encode(query), as: UTF8.self)
    // curl counts up the part after '#', which it keeps to itself.
    let curl = try curl([
      "-o", "/dev/null", "-w", "%{http_code}\\n", "-d", body,
      url + "/v1/completions#[1-\(count)]",
    ])
    await curl.waitForEndOfOutput()
    return curl.lines.compactMap { Int($0) }
  }

  /// A stream in progress: the process that reads it.
  func stream(_ query: CompletionQuery) throws -> ChildProcess {
    var query = query
    query.stream = true
    let body = try JSONEncoder().encode(query)
    return try curl(["-N", "-d", String(decoding: body, as: UTF8.self), url + "/v1/completions"])
  }

  /// The chunk in one line of a stream; nil for other lines.
  static func chunk(_ line: String) -> CompletionAnswer? {
    guard line.hasPrefix("data: {") else { return nil }
    return try? JSONDecoder().decode(CompletionAnswer.self, from: Data(line.dropFirst(6).utf8))
  }

  /// Returns when the second chunk of a stream has come: it is decode's, the first is prefill's.
  static func waitForDecode(_ stream: ChildProcess) async throws {
    var chunks = 0
    try await stream.first { line -> Bool? in
      if chunk(line) != nil { chunks += 1 }
      return chunks >= 2 ? true : nil
    }
  }

  /// The tokens of a stream that has ended.
  static func tokens(of stream: ChildProcess) -> [Int] {
    stream.lines.compactMap(chunk).flatMap { $0.choices.first?.token_ids ?? [] }
  }

  /// All samples of a metric added up, for label sets that contain every given label; throws where
  /// there is none.
  func metric(_ name: String, _ labels: String...) async throws -> Double {
    let curl = try curl([url + "/metrics"])
    await curl.waitForEndOfOutput()
    let samples = curl.lines.filter { line in
      line.hasPrefix(name) && labels.allSatisfy(line.contains)
    }.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    guard !samples.isEmpty else { throw OutputEnded(lines: curl.lines) }
    return samples.reduce(0, +)
  }

  /// The HTTP status of a path; with patience, curl tries again for a while until it is good.
  func status(_ path: String, patience: Bool = false) async throws -> Int {
    let retry =
      patience ? ["--retry", "100", "--retry-delay", "1", "--retry-all-errors", "-f"] : []
    let curl = try curl(
      retry + ["-o", "/dev/null", "-w", "status=%{http_code}\\n", url + path])
    return try await curl.first { line in
      line.firstMatch(of: /status=([0-9]+)/).flatMap { Int($0.1) }
    }
  }

  func curl(_ arguments: [String]) throws -> ChildProcess {
    try ChildProcess(
      "/usr/bin/curl",
      ["-sS", "--max-time", "120", "-H", "Content-Type: application/json"] + arguments)
  }
}
