import ControlProtocol
import ControlTransport
import ControlWire
import KVCore
import NIOCore
import TestSupport
import Testing

/// A server on a real socket, fed with what no peer should send.
@Suite("Fuzzing connections", .timeLimit(.minutes(Fuzzing.timeLimitMinutes)))
struct ConnectionFuzzTests {
  /// What a peer sends: a handshake that is mostly sound, then messages on streams that are mostly
  /// its own, some of them changed with or without a checksum that is right.
  private static func bytes(_ mutator: inout Mutator) throws -> [UInt8] {
    var bytes: [UInt8] = []
    let identity = try TestPeer.identity("raw")
    let hello = Hello(
      versions: [1], engine: identity.engine, incarnation: identity.incarnation,
      role: identity.role, features: [], nonce: mutator.random.bytes(32))
    for message in [Message.hello(hello), .peerInfo(identity.info)] {
      let frame = try RawFrame.encode(message, stream: 0, flags: .last)
      bytes += mutator.random.number(0...11) == 0 ? mutator.mutate(frame) : frame
    }
    var stream: UInt64 = 1
    for _ in 0..<mutator.random.number(0...8) {
      let types = MessageType.allCases
      let message = try mutator.random.message(types[mutator.random.number(0...types.count - 1)])
      var frames = try RawFrame.encode(
        message, stream: mutator.random.number(0...9) == 0 ? mutator.random.next() : stream,
        flags: mutator.random.number(0...9) == 0 ? [.last, .response] : .last,
        deadlineMilliseconds: mutator.random.number(0...9) == 0 ? nil : 10_000,
        limits: FrameLimits(
          maximumPayloadBytes: mutator.random.number(0...3) == 0 ? 64 : 1 << 18,
          maximumMessageBytes: 1 << 20))
      if mutator.random.number(0...9) == 0 {
        frames[mutator.random.number(5...frames.count - 1)] ^=
          1 << UInt8(mutator.random.number(0...7))
        frames = RawFrame.seal(frames)
      }
      bytes += frames
      if mutator.random.number(0...2) != 0 { stream += 2 }
    }
    return mutator.random.number(0...3) == 0 ? mutator.mutate(bytes) : bytes
  }

  @Test("whatever a peer sends, the server says only what is sound, and serves others")
  func server() async throws {
    let server = try await TestPeer.server(TestHandler())
    try await Fuzzing("connections", inputs: 200).run { seed in
      var mutator = Mutator(seed: seed)
      let bytes = try Self.bytes(&mutator)
      let peer = try await RawPeer.connect(to: server)
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + mutator.random.number(1...bytes.count))
        // The server may have closed the connection already.
        try? await peer.send(Array(bytes[start..<end]))
        start = end
      }
      try? await peer.channel.close(mode: .output)
      do {
        _ = try await peer.messages()
      } catch {
        Issue.record("seed \(seed): the server sent \(error)")
      }
      if seed % 50 == 0 { try await Self.expectService(of: server) }
    }
    try await Self.expectService(of: server)
    await server.shutdown()
  }

  private static func expectService(of server: ControlServer) async throws {
    let client = try await TestPeer.client(of: server)
    let answer = try await client.request(TestHandler.prefill([4]))
    #expect(answer == TestHandler.chunk(0, [4]))
    client.close()
  }
}
