import ControlProtocol
import KVCore
import Testing

@Suite("Handshake machine")
struct HandshakeMachineTests {
  private static func hello(
    _ engine: String, role: Role = .decode, versions: [UInt32] = [1], incarnation: UInt64 = 1
  ) throws -> Hello {
    Hello(
      versions: versions, engine: try EngineID(engine), incarnation: Incarnation(incarnation),
      role: role, features: [], nonce: [UInt8](repeating: 0, count: 32))
  }

  private static func make(
    _ side: HandshakeMachine.Side, _ hello: Hello, _ info: PeerInfo
  ) -> HandshakeMachine {
    HandshakeMachine(side: side, hello: hello, helloPayload: [], info: info, keys: nil)
  }

  private static func info(heads: Int? = 4, fingerprint: UInt8 = 1) -> PeerInfo {
    let model = heads.map { heads in
      ModelSummary(
        name: "m", fingerprint: [UInt8](repeating: fingerprint, count: 32),
        geometry: KVGeometry(
          blockTokens: 16,
          groups: [
            CacheGroup(layers: 2, keyValueHeads: heads, headDimension: 8, dataType: .bfloat16)
          ]),
        contextTokens: 64, vocabularySize: 100, endTokens: [], poolBlocks: 10)
    }
    return PeerInfo(model: model, bootID: "b", processID: 1, addresses: [], ranks: 1)
  }

  /// A machine that has taken `messages` after its start.
  private static func machine(
    _ side: HandshakeMachine.Side, _ hello: Hello, _ info: PeerInfo, after messages: [Message] = []
  ) -> HandshakeMachine {
    var machine = make(side, hello, info)
    _ = machine.start()
    for message in messages { _ = machine.received(message, payload: []) }
    return machine
  }

  @Test("the initiator speaks first, and each side learns what the other is")
  func order() throws {
    let (a, b) = (try Self.hello("a"), try Self.hello("b"))
    let info = Self.info()
    var initiator = Self.make(.initiator, a, info)
    var acceptor = Self.make(.acceptor, b, info)
    #expect(acceptor.start() == .wait)
    #expect(initiator.start() == .send(.hello(a)))
    #expect(acceptor.received(.hello(a), payload: []) == .send(.hello(b)))
    #expect(initiator.received(.hello(b), payload: []) == .send(.peerInfo(info)))
    let atAcceptor = HandshakeMachine.Outcome(version: 1, hello: a, info: info)
    #expect(
      acceptor.received(.peerInfo(info), payload: [])
        == .complete(atAcceptor, sending: .peerInfo(info)))
    let atInitiator = HandshakeMachine.Outcome(version: 1, hello: b, info: info)
    #expect(
      initiator.received(.peerInfo(info), payload: []) == .complete(atInitiator, sending: nil))
  }

  @Test(
    "every message that is not the next one is a violation, in every state",
    arguments: [HandshakeMachine.Side.initiator, .acceptor])
  func stateByEvent(side: HandshakeMachine.Side) throws {
    let hello = Message.hello(try Self.hello("peer"))
    let info = Message.peerInfo(Self.info())
    let refusedHello = Message.hello(try Self.hello("peer", versions: [5]))
    let states: [(taken: [Message], next: Message?)] = [
      ([], hello), ([hello], info), ([hello, info], nil), ([refusedHello], nil),
    ]
    let proof = Message.proof(Proof(codes: [[UInt8](repeating: 0, count: 32)]))
    let events: [Message] = [hello, proof, info, .cancel, .acknowledged, .metricsRequest]
    for state in states {
      for event in events {
        var machine = Self.machine(
          side, try Self.hello("self"), Self.info(), after: state.taken)
        let action = machine.received(event, payload: [])
        if event == state.next {
          if case .refuse = action { Issue.record("\(state.taken.count) \(event): \(action)") }
        } else {
          guard case .refuse(let error, sending: .error(let sent)?) = action else {
            Issue.record("\(state.taken.count) \(event): \(action)")
            continue
          }
          #expect(error.code == .protocolViolation)
          #expect(sent == error)
        }
      }
      // The peer's own refusal is taken over and not answered, in every state.
      var machine = Self.machine(side, try Self.hello("self"), Self.info(), after: state.taken)
      let error = BatonError(.incompatible, "no")
      #expect(machine.received(.error(error), payload: []) == .refuse(error, sending: nil))
    }
  }

  @Test("the highest version that both sides speak is taken")
  func versions() throws {
    let ours = try Self.hello("a", versions: [3, 2, 1])
    let theirs = try Self.hello("b", versions: [1, 2, 9])
    var machine = Self.machine(.initiator, ours, Self.info(), after: [.hello(theirs)])
    guard case .complete(let outcome, _) = machine.received(.peerInfo(Self.info()), payload: [])
    else {
      Issue.record("not complete")
      return
    }
    #expect(outcome.version == 2)
  }

  @Test("what does not fit is refused with the values of both sides")
  func refusals() throws {
    let ours = try Self.hello("a", versions: [1], incarnation: 0xAA)
    let cases: [(Hello, PeerInfo, [String])] = [
      (
        try Self.hello("b", versions: [2, 3]), Self.info(),
        ["b speaks", "[2, 3]", "a speaks", "[1]"]
      ),
      (try Self.hello("a", incarnation: 0xAA), Self.info(), ["itself", "00000000000000aa"]),
      (
        try Self.hello("a", incarnation: 0xBB), Self.info(),
        ["00000000000000aa", "00000000000000bb"]
      ),
      (try Self.hello("b"), Self.info(heads: 2), ["2 KV heads", "4 KV heads"]),
      (
        try Self.hello("b"), Self.info(fingerprint: 2),
        [String(repeating: "02", count: 32), String(repeating: "01", count: 32)]
      ),
      (try Self.hello("b", role: .prefill), Self.info(heads: nil), ["prefill", "no model"]),
    ]
    for (hello, info, values) in cases {
      var machine = Self.machine(.acceptor, ours, Self.info())
      var action = machine.received(.hello(hello), payload: [])
      if case .send = action { action = machine.received(.peerInfo(info), payload: []) }
      guard case .refuse(let error, sending: .error?) = action else {
        Issue.record("\(values): \(action)")
        continue
      }
      #expect(error.code == .incompatible)
      for value in values { #expect(error.message.contains(value), "\(value)") }
    }
  }

  @Test("proxies need no model, and two of them are refused")
  func proxies() throws {
    let engine = try Self.hello("a")
    let proxy = try Self.hello("p", role: .proxy)
    var machine = Self.machine(.acceptor, engine, Self.info(), after: [.hello(proxy)])
    guard case .complete = machine.received(.peerInfo(Self.info(heads: nil)), payload: []) else {
      Issue.record("a proxy was refused")
      return
    }
    var other = Self.machine(
      .acceptor, try Self.hello("q", role: .proxy), Self.info(heads: nil))
    guard case .refuse(let error, _) = other.received(.hello(proxy), payload: []) else {
      Issue.record("two proxies were connected")
      return
    }
    #expect(error.message.contains("p and q"))
  }
}
