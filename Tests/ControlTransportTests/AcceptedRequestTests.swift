import ControlProtocol
import ControlTransport
import KVCore
import Synchronization
import Testing

/// Requests that a handler answers without a task.
@Suite("Accepted requests", .timeLimit(.minutes(1)))
struct AcceptedRequestTests {
  /// Answers a lease release at once, with an error if it names tickets, and a renewal when the
  /// test says so; all else is answered in a task.
  private final class Handler: ControlHandler {
    let arrivals: AsyncStream<ReplyWriter>
    private let arrived: AsyncStream<ReplyWriter>.Continuation
    private let handled = Atomic(0)

    init() { (arrivals, arrived) = AsyncStream.makeStream(of: ReplyWriter.self) }

    /// How many requests had a task.
    var handledCount: Int { handled.load(ordering: .relaxed) }

    func accept(
      _ message: Message, from connection: ControlConnection, reply: ReplyWriter
    ) -> Bool {
      switch message {
      case .leaseRelease(let tickets) where tickets.tickets.isEmpty:
        reply.send(.acknowledged, last: true)
      case .leaseRelease:
        reply.fail(BatonError(.ticketUnknown, "no such ticket"))
      case .leaseRenew:
        arrived.yield(reply)
      default: return false
      }
      return true
    }

    func handle(
      _ message: Message, from connection: ControlConnection, reply: ReplyWriter
    ) async {
      handled.add(1, ordering: .relaxed)
      reply.send(.acknowledged, last: true)
    }
  }

  private static let now = Message.leaseRelease(LeaseTickets(tickets: []))
  private static let later = Message.leaseRenew(LeaseTickets(tickets: []))

  @Test("What is answered at once leaves nothing behind, and what is not accepted has a task")
  func atOnce() async throws {
    let handler = Handler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    // More than may be open.
    for _ in 0..<Limits.maximumStreamsPerConnection + 10 {
      #expect(try await client.request(Self.now) == .acknowledged)
    }
    let wrong = Message.leaseRelease(LeaseTickets(tickets: [.random()]))
    let error = await TestPeer.error { _ = try await client.request(wrong) }
    #expect(error?.code == .ticketUnknown)
    #expect(handler.handledCount == 0)
    #expect(try await client.request(.metricsRequest) == .acknowledged)
    #expect(handler.handledCount == 1)
    await server.shutdown()
  }

  @Test("Answers that come later, from elsewhere, are the request's")
  func later() async throws {
    let handler = Handler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    var arrivals = handler.arrivals.makeAsyncIterator()
    for number in 0..<200 {
      let asking = Task { try await client.request(Self.later) }
      let reply = try #require(await arrivals.next())
      #expect(!reply.isCancelled)
      if number % 2 == 0 {
        reply.send(TestHandler.chunk(number, [1]), last: true)
        #expect(try await asking.value == TestHandler.chunk(number, [1]))
      } else {
        reply.fail(BatonError(.unavailable, "no"))
        #expect(await TestPeer.error { _ = try await asking.value }?.code == .unavailable)
      }
      #expect(reply.isCancelled)
      reply.send(.acknowledged, last: true)
    }
    // Several answers, more than there is credit for at once.
    let stream = try client.stream(Self.later)
    let reply = try #require(await arrivals.next())
    let tokens = [TokenID](repeating: 7, count: 1_000)
    for index in 0..<1_000 { reply.send(TestHandler.chunk(index, tokens), last: index == 999) }
    var count = 0
    for try await _ in stream { count += 1 }
    #expect(count == 1_000)
    #expect(try await client.request(Self.now) == .acknowledged)
    await server.shutdown()
  }

  @Test("What nobody waits for any more is still to be answered, and counts until then")
  func withdrawn() async throws {
    let handler = Handler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    var arrivals = handler.arrivals.makeAsyncIterator()
    var replies: [ReplyWriter] = []
    for number in 0..<Limits.maximumStreamsPerConnection {
      if number % 2 == 0 {
        let asking = Task { try await client.request(Self.later) }
        replies.append(try #require(await arrivals.next()))
        asking.cancel()
        _ = await asking.result
      } else {
        let stream = try client.stream(Self.later)
        replies.append(try #require(await arrivals.next()))
        withExtendedLifetime(stream) {}
      }
    }
    let error = await TestPeer.error { _ = try await client.request(Self.now) }
    #expect(error?.code == .resourceExhausted)
    for reply in replies {
      #expect(reply.isCancelled)
      reply.send(.acknowledged, last: true)
    }
    #expect(try await client.request(Self.now) == .acknowledged)
    await server.shutdown()
  }

  @Test("What is not answered in its time is told to be so, and a late answer does no harm")
  func late() async throws {
    let handler = Handler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    var arrivals = handler.arrivals.makeAsyncIterator()
    let error = await TestPeer.error {
      _ = try await client.request(Self.later, within: .milliseconds(10))
    }
    #expect(error?.code == .deadlineExceeded)
    let reply = try #require(await arrivals.next())
    reply.send(.acknowledged, last: true)
    #expect(try await client.request(Self.now) == .acknowledged)

    // An answer after the connection has ended goes nowhere.
    let asking = Task { try await client.request(Self.later) }
    let last = try #require(await arrivals.next())
    client.close()
    #expect(await TestPeer.error { _ = try await asking.value }?.code == .cancelled)
    await server.shutdown()
    #expect(last.isCancelled)
    last.send(.acknowledged, last: true)
  }
}
