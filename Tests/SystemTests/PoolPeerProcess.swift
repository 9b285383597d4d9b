import Foundation
import Synchronization
import Testing

/// A process of `Tests/PoolPeer`, asked and answered line by line.
final class PoolPeerProcess: Sendable {
  /// How the process is told to present itself to the others.
  let engine: String
  let incarnation: String
  /// What else it said when it was ready.
  let details: [String]
  let process: ChildProcess
  private let position: Mutex<Int>

  /// - Parameters:
  ///   - blockTokens: 256 bytes each.
  ///   - kind: of an impostor, what it hands out.
  init(
    _ role: String, engine: String, blocks: Int = 64, blockTokens: Int = 16, kind: String? = nil
  ) async throws {
    self.engine = engine
    process = try ChildProcess(
      Self.path, [role, engine, "\(blocks)", "\(blockTokens)"] + [kind].compactMap(\.self),
      takesInput: true)
    let ready = try await process.first { $0.hasPrefix("ready ") ? $0 : nil }
    let words = ready.split(separator: " ").map(String.init)
    incarnation = words[1]
    details = Array(words[2...])
    position = Mutex(1)
  }

  /// The binary that was built beside the tests.
  private static let path = URL(fileURLWithPath: RunningFleet.baton).deletingLastPathComponent()
    .appendingPathComponent("PoolPeer").path

  /// The next line that nobody has been given.
  func next() async throws -> String {
    let wanted = position.withLock { position in
      defer { position += 1 }
      return position
    }
    var seen = 0
    return try await process.first { line -> String? in
      defer { seen += 1 }
      return seen == wanted ? line : nil
    }
  }

  func ask(_ command: String) async throws -> String {
    try process.send(command)
    return try await next()
  }

  /// Has this owner offer its pool to `reader`; what `reader` needs to fetch it.
  func offer(to reader: PoolPeerProcess) async throws -> String {
    let words = try await ask("offer \(reader.engine) \(reader.incarnation)")
      .split(separator: " ")
    try #require(words.count == 3 && words[0] == "offer")
    return "\(words[1]) \(words[2])"
  }

  /// Connects this reader to `owner`.
  func connect(to owner: PoolPeerProcess) async throws {
    let offer = try await owner.offer(to: self)
    #expect(try await ask("connect \(owner.engine) \(owner.incarnation) \(offer)") == "connected")
  }

  /// Returns once the process is stopped by a signal.
  func waitUntilStopped() async throws {
    while ProcessTable.state(of: process.processID) != "T" {
      try Task.checkCancellation()
      await Task.yield()
    }
  }
}
