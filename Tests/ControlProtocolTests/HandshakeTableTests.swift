import ControlProtocol
import KVCore
import TestSupport
import Testing

/// The handshake with a cluster key: every event in every state, and in any order.
@Suite("Handshake table")
struct HandshakeTableTests {
  private enum Event: Hashable, CaseIterable {
    case hello
    /// Of the peer, over both hellos of this handshake.
    case proof
    /// This side's own, sent back.
    case reflectedProof
    case info
    case cancel
    case request
    case error
  }

  private enum Result: Hashable {
    case goesOn
    case completes
    case refused(ErrorCode)
    /// The peer's own error, which is not answered.
    case takenOver
  }

  /// One side, and what its peer says in the same handshake.
  private struct Handshake: ~Copyable {
    var machine: HandshakeMachine
    private let hello: Message
    private let payload: [UInt8]
    private let proof: Message
    private let reflected: Message

    init(_ side: HandshakeMachine.Side) throws {
      let (initiator, acceptor) = (try Self.hello("a", 1), try Self.hello("b", 2))
      let (first, second) = (Array("first".utf8), Array("second".utf8))
      var asking = try Self.machine(.initiator, initiator, first)
      var answering = try Self.machine(.acceptor, acceptor, second)
      _ = (asking.start(), answering.start())
      let question = asking.received(.hello(acceptor), payload: second)
      _ = answering.received(.hello(initiator), payload: first)
      guard case .send(let asked) = question,
        case .send(let answered) = answering.received(asked, payload: [])
      else { throw BatonError(.internalError, "no proof was made") }
      machine =
        side == .initiator
        ? try Self.machine(side, initiator, first) : try Self.machine(side, acceptor, second)
      hello = .hello(side == .initiator ? acceptor : initiator)
      payload = side == .initiator ? second : first
      proof = side == .initiator ? answered : asked
      reflected = side == .initiator ? asked : answered
    }

    private static func hello(_ engine: String, _ nonce: UInt8) throws -> Hello {
      Hello(
        versions: [1], engine: try EngineID(engine), incarnation: Incarnation(1), role: .decode,
        features: [HandshakeMachine.Feature.clusterKey],
        nonce: [UInt8](repeating: nonce, count: 32))
    }

    private static func machine(
      _ side: HandshakeMachine.Side, _ hello: Hello, _ payload: [UInt8]
    ) throws -> HandshakeMachine {
      HandshakeMachine(
        side: side, hello: hello, helloPayload: payload, info: info,
        keys: try ClusterKeys([ClusterKey([UInt8](repeating: 7, count: 32))]))
    }

    static let info = PeerInfo(
      model: ModelSummary(
        name: "m", fingerprint: [UInt8](repeating: 1, count: 32),
        geometry: KVGeometry(
          blockTokens: 16,
          groups: [CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 8, dataType: .float32)]),
        contextTokens: 64, vocabularySize: 8, endTokens: [], poolBlocks: 8),
      bootID: "", processID: 1, addresses: [], ranks: 1)

    mutating func receive(_ event: Event) -> HandshakeMachine.Action {
      switch event {
      case .hello: machine.received(hello, payload: payload)
      case .proof: machine.received(proof, payload: [])
      case .reflectedProof: machine.received(reflected, payload: [])
      case .info: machine.received(.peerInfo(Self.info), payload: [])
      case .cancel: machine.received(.cancel, payload: [])
      case .request: machine.received(.metricsRequest, payload: [])
      case .error: machine.received(.error(BatonError(.unavailable, "later")), payload: [])
      }
    }

    static func result(_ action: HandshakeMachine.Action) -> Result {
      switch action {
      case .wait, .send: .goesOn
      case .complete: .completes
      case .refuse(let error, sending: .error(let sent)?) where sent == error: .refused(error.code)
      case .refuse(_, sending: nil): .takenOver
      case .refuse: .refused(.internalError)
      }
    }
  }

  /// What leads to each state, the one event that leads on, and the code for all others.
  private static let states:
    [(name: String, before: [Event], next: Event?, result: Result, otherwise: ErrorCode)] = [
      ("awaiting a hello", [], .hello, .goesOn, .protocolViolation),
      ("awaiting a proof", [.hello], .proof, .goesOn, .unauthenticated),
      ("awaiting an info", [.hello, .proof], .info, .completes, .protocolViolation),
      ("complete", [.hello, .proof, .info], nil, .completes, .protocolViolation),
      ("refused", [.hello, .cancel], nil, .goesOn, .protocolViolation),
      ("ended by the peer", [.hello, .error], nil, .goesOn, .protocolViolation),
    ]

  @Test(
    "with a key every event in every state does what the table says",
    arguments: [HandshakeMachine.Side.initiator, .acceptor])
  func table(side: HandshakeMachine.Side) throws {
    for state in Self.states {
      for event in Event.allCases {
        var handshake = try Handshake(side)
        _ = handshake.machine.start()
        for each in state.before { _ = handshake.receive(each) }
        let expected: Result =
          switch event {
          case .error: .takenOver
          case state.next: state.result
          default: .refused(state.otherwise)
          }
        #expect(Handshake.result(handshake.receive(event)) == expected, "\(state.name), \(event)")
      }
    }
  }

  @Test("before its start a handshake takes nothing")
  func unstarted() throws {
    for event in Event.allCases where event != .error {
      var handshake = try Handshake(.acceptor)
      #expect(Handshake.result(handshake.receive(event)) == .refused(.protocolViolation))
    }
  }

  @Test("in any order, nothing is told and nothing completes before hello and proof were accepted")
  func anyOrderFuzz() async throws {
    try await Fuzzing("handshakes", inputs: 5_000).run { seed in
      var random = SplitMix64(seed: seed)
      var handshake = try Handshake(seed % 2 == 0 ? .initiator : .acceptor)
      _ = handshake.machine.start()
      var accepted: [Event] = []
      var isOver = false
      for _ in 0..<8 {
        // What comes next if nothing goes wrong is likely, so that some get to the end.
        let next = [Event.hello, .proof, .info].first { !accepted.contains($0) }
        let event =
          random.next() % 4 == 0
          ? Event.allCases[Int(random.next() % UInt64(Event.allCases.count))] : next ?? .request
        let action = handshake.receive(event)
        switch action {
        case .wait: break
        case .send(let message):
          #expect(!isOver, "seed \(seed)")
          if case .peerInfo = message {
            #expect(accepted + [event] == [.hello, .proof], "seed \(seed)")
          }
          accepted.append(event)
        case .complete:
          #expect(!isOver && accepted + [event] == [.hello, .proof, .info], "seed \(seed)")
          isOver = true
        case .refuse: isOver = true
        }
      }
    }
  }
}
