import Foundation
import Synchronization
import Testing

/// A process whose output is read line by line as it comes.
final class ChildProcess: Sendable {
  private struct State {
    var lines: [String] = []
    var isOpen = true
    var watchers: [AsyncStream<Void>.Continuation] = []
  }

  /// What the reading thread shares with the object, which it does not keep alive.
  private final class Output: Sendable {
    let state = Mutex(State())

    func read(_ handle: FileHandle) {
      var rest = Data()
      while true {
        let data = handle.availableData
        if data.isEmpty { break }
        rest += data
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
          add(String(decoding: rest[rest.startIndex..<newline], as: UTF8.self))
          rest = rest[rest.index(after: newline)...]
        }
      }
      if !rest.isEmpty { add(String(decoding: rest, as: UTF8.self)) }
      let watchers = state.withLock { state in
        state.isOpen = false
        return state.watchers
      }
      for watcher in watchers { watcher.yield() }
    }

    private func add(_ line: String) {
      let watchers = state.withLock { state in
        state.lines.append(line)
        return state.watchers
      }
      for watcher in watchers { watcher.yield() }
    }
  }

  private let process: Process
  private let output = Output()
  private let input: FileHandle?

  /// Starts `path`. It is killed with the end of this object.
  ///
  /// - Parameter takesInput: whether `send` can be used; otherwise standard input is empty.
  init(
    _ path: String, _ arguments: [String], environment: [String: String] = [:],
    takesInput: Bool = false
  ) throws {
    process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    let commands = takesInput ? Pipe() : nil
    process.standardInput = commands ?? FileHandle.nullDevice
    input = commands?.fileHandleForWriting
    try process.run()
    let reader = pipe.fileHandleForReading
    Thread.detachNewThread { [output] in output.read(reader) }
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var processID: Int32 { process.processIdentifier }

  var lines: [String] { output.state.withLock { $0.lines } }

  /// Writes one line to standard input.
  func send(_ line: String) throws {
    try input?.write(contentsOf: Data((line + "\n").utf8))
  }

  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// The exit status, once the process has ended; a signal's number plus 128 for one it died of.
  func exitStatus() async -> Int32 {
    await waitForEndOfOutput()
    // The wait ends early only for a test that is out of time.
    if Task.isCancelled { signal(SIGKILL) }
    process.waitUntilExit()
    return process.terminationReason == .exit
      ? process.terminationStatus : 128 + process.terminationStatus
  }

  /// The first line, also of those that have come already, for which `body` has a value.
  ///
  /// Throws `OutputEnded` with everything that was printed when the output ends before.
  @discardableResult
  func first<Value>(_ body: (String) -> Value?) async throws -> Value {
    var checked = 0
    for await _ in changes() {
      let (lines, isOpen) = output.state.withLock { ($0.lines, $0.isOpen) }
      for line in lines[checked...] {
        if let value = body(line) { return value }
      }
      checked = lines.count
      if !isOpen { break }
    }
    throw OutputEnded(lines: lines)
  }

  /// Returns when a line that contains `text` has come; throws as `first` does.
  func wait(for text: String) async throws {
    try await first { $0.contains(text) ? text : nil }
  }

  func waitForEndOfOutput() async {
    for await _ in changes() where !output.state.withLock({ $0.isOpen }) { return }
  }

  /// Told now and whenever a line or the end comes.
  private func changes() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    output.state.withLock { $0.watchers.append(continuation) }
    continuation.yield()
    return stream
  }
}

/// A process ended its output before it printed what a test waited for.
struct OutputEnded: Error, CustomStringConvertible {
  let lines: [String]

  var description: String { "the output ended:\n" + lines.joined(separator: "\n") }
}
