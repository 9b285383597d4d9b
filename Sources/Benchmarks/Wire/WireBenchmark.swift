import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import NIOCore
import NIOPosix
import Platform
import Subprocess
import SystemPackage

/// Measures the control protocol: its codec alone, round trips to a second process beside a bare
/// echo, and what a token chunk costs each end.
package enum WireBenchmark {
  /// Bytes of a ping's frame, which the echo sends too.
  private static let echoBytes = 33

  /// Starts this executable as `baton bench wire-peer`, which ends with this process or before.
  package static func run() async throws -> WireResult {
    let codecs = try CodecBenchmark.subjects().map { subject throws(BatonError) in
      try CodecBenchmark.measure(subject)
    }
    let ended = try await Subprocess.run(
      .path("/proc/self/exe"),
      arguments: Arguments(
        executablePathOverride: "baton", remainingValues: ["bench", WirePeer.commandName]),
      input: .inputWriter, output: .sequence,
      error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false)
    ) { execution in
      // Standard input stays open until the measurement is done: its end ends the peer.
      let addresses = try await addresses(in: execution.standardOutput)
      let result = try await measure(addresses, codecs: codecs)
      try await execution.standardInputWriter.finish()
      return result
    }
    return ended.closureResult
  }

  private static func addresses(
    in output: SubprocessOutputSequence
  ) async throws -> WirePeerAddresses {
    for try await line in output.strings(bufferingPolicy: .unbounded) {
      return try JSONDecoder().decode(WirePeerAddresses.self, from: Data(line.utf8))
    }
    throw BatonError(.peerGone, "the second process ended before it served")
  }

  private static func measure(
    _ addresses: WirePeerAddresses, codecs: [CodecFigures]
  ) async throws -> WireResult {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    func connect(_ address: String) async throws -> ControlConnection {
      try await ControlClient.connect(
        to: try ControlAddress(address), identity: try WirePeer.identity("wire-bench", .client),
        group: group, logger: WirePeer.logger)
    }
    let unix = try await connect(addresses.unix)
    let tcp = try await connect(addresses.tcp)
    let unixEcho = try SocketAddress(unixDomainSocketPath: "\0" + addresses.unixEchoName)
    let tcpEcho = try SocketAddress(ipAddress: "127.0.0.1", port: addresses.tcpEchoPort)
    var trips: [RoundTripFigures] = []
    for (name, connection, echo) in [("unix", unix, unixEcho), ("tcp", tcp, tcpEcho)] {
      for inFlight in [1, 64] {
        trips.append(
          try await roundTrips(
            name, over: connection, echo: echo, inFlight: inFlight, group: group))
      }
    }
    let chunks = try await tokenChunks(over: unix)
    unix.close()
    tcp.close()
    try await group.shutdownGracefully()
    return WireResult(codecs: codecs, roundTrips: trips, chunks: chunks)
  }

  private static func roundTrips(
    _ name: String, over connection: ControlConnection, echo: SocketAddress, inFlight: Int,
    group: any EventLoopGroup
  ) async throws -> RoundTripFigures {
    let count = BenchmarkLimits.roundTripsPerRound * (inFlight > 1 ? 8 : 1)
    var (pings, requests, echoes, taskEchoes) = (Samples(), Samples(), Samples(), Samples())
    let taskEcho = try await TaskEcho.connect(to: echo, messageBytes: echoBytes, group: group)
    for _ in 0..<BenchmarkLimits.roundTripRounds {
      echoes.add(
        try await EchoChannel.measure(
          echo, messageBytes: echoBytes, count: count, inFlight: inFlight, group: group))
      taskEchoes.add(
        try await time(count, inFlight: inFlight) { try await taskEcho.roundTrip() })
      pings.add(
        try await time(count, inFlight: inFlight) {
          try await connection.ping(within: .seconds(10))
        })
      requests.add(
        try await time(count, inFlight: inFlight) {
          _ = try await connection.request(
            .leaseRelease(LeaseTickets(tickets: [])), within: .seconds(10))
        })
    }
    try await taskEcho.close()
    func rate(_ samples: Samples) -> Double {
      Double(count) / ((samples.percentile(0.5) ?? .zero) / .seconds(1))
    }
    return RoundTripFigures(
      transport: name, inFlight: inFlight, pings: rate(pings), requests: rate(requests),
      echoes: rate(echoes), taskEchoes: rate(taskEchoes))
  }

  /// How long `count` calls of `body` take, `inFlight` at a time.
  private static func time(
    _ count: Int, inFlight: Int, _ body: @escaping @Sendable () async throws -> Void
  ) async throws -> Duration {
    let start = ContinuousClock.now
    try await withThrowingDiscardingTaskGroup { group in
      for _ in 0..<inFlight {
        group.addTask {
          for _ in 0..<count / inFlight { try await body() }
        }
      }
    }
    return ContinuousClock.now - start
  }

  private static func tokenChunks(over connection: ControlConnection) async throws -> ChunkFigures {
    let count = BenchmarkLimits.tokenChunks
    let request = GenerateRequest(
      request: .random(), attempt: 0, tokens: [1],
      sampling: SamplingParameters(
        temperature: 0, seed: 0, maximumTokens: UInt32(count), ignoresEndTokens: true))
    let peerBefore = try await peerProcessorTime(over: connection)
    let ownBefore = PlatformThread.processorTimeOfProcess()
    let start = ContinuousClock.now
    var received = 0
    let answers = try connection.stream(.generateRequest(request), within: .seconds(60))
    for try await case .tokenChunk(let chunk) in answers { received += chunk.tokens.count }
    let time = ContinuousClock.now - start
    let own = PlatformThread.processorTimeOfProcess() - ownBefore
    let peer = try await peerProcessorTime(over: connection) - peerBefore
    guard received == count else {
      throw BatonError(.internalError, "\(received) of \(count) token chunks came")
    }
    return ChunkFigures(
      chunks: count, sending: peer / count, receiving: own / count,
      rate: Double(count) / (time / .seconds(1)))
  }

  private static func peerProcessorTime(
    over connection: ControlConnection
  ) async throws -> Duration {
    guard
      case .metricsReply(let families) = try await connection.request(
        .metricsRequest, within: .seconds(10)),
      let seconds = families.first?.samples.first?.value
    else { throw BatonError(.protocolViolation, "the second process does not tell its time") }
    return .seconds(seconds)
  }
}
