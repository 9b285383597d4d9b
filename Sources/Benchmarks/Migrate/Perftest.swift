import Foundation
import KVCore
import Verbs

/// What a device can do at best, by the field's own tools between two processes on it (perftest).
struct Perftest {
  /// How a READ of `ib_read_bw` looks.
  private struct Shape {
    let bytes: Int
    let depth: Int
  }

  private static let shapes = [
    Shape(bytes: 64 << 10, depth: 16), Shape(bytes: 256 << 10, depth: 16),
    Shape(bytes: 1 << 20, depth: 4), Shape(bytes: 1 << 20, depth: 16),
  ]
  /// What one run moves.
  private static let bytesPerRun = 64 << 20
  private static let latencyRounds = 500

  private let device: String

  /// Throws `unavailable` where there is no device.
  init() throws(BatonError) {
    guard let device = DeviceContext.deviceNames().first else {
      throw BatonError(.unavailable, "there is no RDMA device on this machine")
    }
    self.device = device
  }

  /// How long the device takes for `bytes`, measured anew with each call: one READ by `ib_read_lat`
  /// where they are few, and else as many READs of the size and depth that were fastest.
  func limit(bytes: Int) throws(BatonError) -> (
    name: String, measure: () throws(BatonError) -> Duration
  ) {
    guard bytes > BenchmarkLimits.shortReadBytes else {
      return (
        "ib_read_lat",
        { () throws(BatonError) in
          let columns = try run("ib_read_lat", ["-s", "\(bytes)", "-n", "\(Self.latencyRounds)"])
          // #bytes #iterations t_min t_max t_typical, in microseconds.
          return .nanoseconds(Int64(try Self.number(columns, 4) * 1_000))
        }
      )
    }
    var best: (shape: Shape, rate: Double)?
    for shape in Self.shapes {
      let rate = try bandwidth(shape)
      if rate > best?.rate ?? 0 { best = (shape, rate) }
    }
    guard let shape = best?.shape else {
      throw BatonError(.internalError, "ib_read_bw measured nothing")
    }
    return (
      "ib_read_bw of \(ByteCount(shape.bytes)), \(shape.depth) at once",
      { () throws(BatonError) in
        .nanoseconds(Int64(Double(bytes) / (try bandwidth(shape)) * 1e9))
      }
    )
  }

  /// Bytes a second.
  private func bandwidth(_ shape: Shape) throws(BatonError) -> Double {
    let columns = try run(
      "ib_read_bw",
      [
        "-s", "\(shape.bytes)", "-o", "\(shape.depth)", "-n",
        "\(max(16, Self.bytesPerRun / shape.bytes))", "--report_gbits",
      ])
    // #bytes #iterations peak average, in 10^9 bits a second.
    return try Self.number(columns, 3) * 1e9 / 8
  }

  private static func number(_ columns: [Substring], _ place: Int) throws(BatonError) -> Double {
    guard columns.indices.contains(place), let number = Double(columns[place]), number > 0,
      number.isFinite
    else {
      throw BatonError(.internalError, "perftest printed no figures")
    }
    return number
  }

  /// Runs a tool as server and as client; the line of figures that the client prints.
  private func run(_ tool: String, _ arguments: [String]) throws(BatonError) -> [Substring] {
    let port = String(UInt16.random(in: 20_000...50_000))
    let common = ["-d", device, "-F", "-p", port] + arguments
    do {
      let server = try start(tool, common)
      defer {
        server.process.terminate()
        server.process.waitUntilExit()
      }
      // The server listens some time after it was started, and nothing tells when.
      let end = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < end {
        let client = try start(tool, common + ["127.0.0.1"])
        let text = String(
          decoding: try client.output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        client.process.waitUntilExit()
        guard client.process.terminationStatus == 0 else { continue }
        let lines = text.split(separator: "\n").drop { !$0.contains("#bytes") }.dropFirst()
        let columns = lines.first?.split(separator: " ", omittingEmptySubsequences: true) ?? []
        // Where it cannot find out how fast the processor's counter is, once in a while.
        if columns.contains("inf") || columns.contains("nan") { continue }
        return columns
      }
    } catch {
      throw BatonError(
        .unavailable, "\(tool) cannot be run: install perftest (\(error.localizedDescription))")
    }
    throw BatonError(.deadlineExceeded, "\(tool) did not get to an end")
  }

  private func start(
    _ tool: String, _ arguments: [String]
  ) throws -> (process: Process, output: Pipe) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/\(tool)")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    return (process, output)
  }
}
