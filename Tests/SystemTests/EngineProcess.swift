import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import Logging
import NIOPosix

/// One engine as a process of its own, and the control connections of a test to it.
final class EngineProcess: Sendable {
  let process: ChildProcess
  let name: String
  let address: String

  /// The deadline of what a test asks: longer than a lease.
  static let limit = Duration.seconds(120)

  /// Starts `baton ROLE` and waits until it serves.
  init(_ role: String, name: String, address: String? = nil) async throws {
    self.name = name
    self.address = address ?? "unix:@baton-test-\(UInt64.random(in: 0 ... .max))"
    process = try ChildProcess(
      RunningFleet.baton, [role, "--name", name, "--listen", self.address, "--threads", "1"])
    try await process.wait(for: "serving")
  }

  /// A connection as the proxy has it.
  func connectAsProxy() async throws -> ControlConnection {
    try await connect(as: "proxy", .proxy, model: nil, incarnation: .random())
  }

  /// A connection as a decode engine has it that runs the model of the one at the other end.
  func connect(
    asDecode engine: String, incarnation: Incarnation = .random()
  ) async throws -> ControlConnection {
    let proxy = try await connectAsProxy()
    defer { proxy.close() }
    return try await connect(
      as: engine, .decode, model: proxy.remoteInfo.model, incarnation: incarnation)
  }

  private func connect(
    as engine: String, _ role: Role, model: ModelSummary?, incarnation: Incarnation
  ) async throws -> ControlConnection {
    try await ControlClient.connect(
      to: ControlAddress(address),
      identity: LocalIdentity(
        engine: try EngineID(engine), incarnation: incarnation, role: role,
        info: PeerInfo(
          model: model, bootID: "", processID: UInt32(ProcessInfo.processInfo.processIdentifier),
          addresses: [], ranks: 1),
        options: ControlOptions()),
      handler: RefusingHandler(), group: MultiThreadedEventLoopGroup.singleton,
      logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
  }

  /// The engine's KV blocks that are in use.
  func usedBlocks(over connection: ControlConnection) async throws -> Int {
    guard
      case .metricsReply(let families) = try await connection.request(
        .metricsRequest, within: Self.limit),
      let family = families.first(where: { $0.name == "baton_kv_blocks" }),
      let sample = family.samples.first(where: { $0.labels.contains { $0.value == "used" } })
    else { throw OutputEnded(lines: process.lines) }
    return Int(sample.value)
  }
}

extension ControlConnection {
  /// Opens a link as a decode engine does that lends nothing itself.
  func openLink() async throws -> LinkID {
    let link = LinkID.random()
    let nothing = SharedMemoryEndpoint(socketName: "", token: [], regions: [])
    _ = try await request(
      .linkOpen(LinkOpen(link: link, endpoints: [EndpointInfo(sharedMemory: nothing)])),
      within: EngineProcess.limit)
    return link
  }

  /// The code and text with which `message` is refused; what it is answered with otherwise.
  func refusal(of message: Message) async -> (code: ErrorCode?, text: String) {
    do {
      let answer = try await request(message, within: EngineProcess.limit)
      return (nil, "\(answer)")
    } catch {
      let error = BatonError(wrapping: error)
      return (error.code, error.message)
    }
  }

  /// Claims a ticket; the last progress.
  func claim(_ ticket: TicketID, over link: LinkID) async throws -> PrefillProgress? {
    var last: PrefillProgress?
    let claim = TicketClaim(ticket: ticket, link: link, attempt: 0)
    for try await message in try stream(.ticketClaim(claim), within: EngineProcess.limit) {
      if case .prefillProgress(let progress) = message { last = progress }
    }
    return last
  }
}

/// A prompt that an engine reads for a test, and keeps until the test lets go of it.
struct LentPrompt {
  let ticket: Ticket
  /// The proxy's answer: cancelled when nobody reads it any more.
  private let answer: Task<Void, any Error>

  /// Submits `tokenCount` tokens as a proxy does, and waits for the ticket.
  init(_ proxy: ControlConnection, tokenCount: Int) async throws {
    let request = PrefillRequest(
      request: .random(), attempt: 0, tokens: [TokenID](repeating: 7, count: tokenCount),
      sampling: SamplingParameters(
        temperature: 0, seed: 1, maximumTokens: 64, ignoresEndTokens: true))
    let messages = try proxy.stream(.prefillRequest(request), within: EngineProcess.limit)
    let (tickets, continuation) = AsyncStream.makeStream(of: Ticket.self)
    answer = Task {
      defer { continuation.finish() }
      for try await message in messages {
        if case .prefillAccepted(let ticket) = message { continuation.yield(ticket) }
      }
    }
    var iterator = tickets.makeAsyncIterator()
    guard let ticket = await iterator.next() else {
      try await answer.value
      throw BatonError(.protocolViolation, "prefill gave no ticket")
    }
    self.ticket = ticket
  }

  /// Takes the request back.
  func cancel() { answer.cancel() }
}
