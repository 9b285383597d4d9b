import ControlProtocol
import KVCore
import Testing

@Suite("Cluster key")
struct ClusterKeyTests {
  /// One side of a handshake, and the payload that stands for its hello on the wire.
  private struct Party: ~Copyable {
    var machine: HandshakeMachine
    let hello: Hello
    let payload: [UInt8]

    /// Each byte of `keys` stands for a key.
    static func make(
      _ side: HandshakeMachine.Side, keys: [UInt8], nonce: UInt8 = 0
    ) throws -> Party {
      let hello = Hello(
        versions: [1], engine: try EngineID("\(side)"), incarnation: Incarnation(1),
        role: side == .initiator ? .proxy : .decode,
        features: keys.isEmpty ? [] : [HandshakeMachine.Feature.clusterKey],
        nonce: [UInt8](repeating: nonce, count: 32))
      let payload = Array("\(side)".utf8) + hello.nonce
      let group = CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 8, dataType: .float32)
      let model = ModelSummary(
        name: "m", fingerprint: [UInt8](repeating: 0, count: 32),
        geometry: KVGeometry(blockTokens: 16, groups: [group]), contextTokens: 64,
        vocabularySize: 8, endTokens: [], poolBlocks: 8)
      var machine = HandshakeMachine(
        side: side, hello: hello, helloPayload: payload,
        info: PeerInfo(
          model: side == .initiator ? nil : model, bootID: "", processID: 1, addresses: [],
          ranks: 1),
        keys: keys.isEmpty ? nil : try ClusterKeys(keys.map { try ClusterKeyTests.key($0) }))
      _ = machine.start()
      return Party(machine: machine, hello: hello, payload: payload)
    }
  }

  private static func key(_ byte: UInt8) throws -> ClusterKey {
    try ClusterKey([UInt8](repeating: byte, count: 32))
  }

  /// Everything that both sides say, until one of them is done or refuses.
  private static func outcome(
    _ initiatorKeys: [UInt8], _ acceptorKeys: [UInt8]
  ) throws -> (HandshakeMachine.Action, said: [Message]) {
    var initiator = try Party.make(.initiator, keys: initiatorKeys)
    var acceptor = try Party.make(.acceptor, keys: acceptorKeys)
    var message = Message.hello(initiator.hello)
    var said = [message]
    for turn in 0..<6 {
      let action =
        turn % 2 == 0
        ? acceptor.machine.received(message, payload: initiator.payload)
        : initiator.machine.received(message, payload: acceptor.payload)
      switch action {
      case .send(let next), .complete(_, sending: let next?): message = next
      case .wait, .complete(_, sending: nil), .refuse: return (action, said)
      }
      said.append(message)
    }
    return (.wait, said)
  }

  @Test(
    "one key in common is enough, so that a fleet can go from one to the next",
    arguments: [([1], [1]), ([1, 2], [1]), ([1], [2, 1]), ([1, 2], [2, 1]), ([2, 1], [3, 1])])
  func common(initiator: [UInt8], acceptor: [UInt8]) throws {
    let (action, said) = try Self.outcome(initiator, acceptor)
    guard case .complete(let outcome, sending: nil) = action else {
      Issue.record("\(action)")
      return
    }
    #expect(outcome.hello.engine.name == "acceptor")
    guard case .proof = said[2], case .proof = said[3], said.count == 6 else {
      Issue.record("\(said)")
      return
    }
  }

  @Test("different keys are refused before anything but the hellos and a proof was said")
  func different() throws {
    let (action, said) = try Self.outcome([1, 2], [3, 4])
    guard case .refuse(let error, sending: .error?) = action else {
      Issue.record("\(action)")
      return
    }
    #expect(error.code == .unauthenticated)
    #expect(!error.isRetryable)
    #expect(error.message.contains("initiator") && error.message.contains("acceptor"))
    #expect(said.count == 3)
  }

  @Test("a key on one side only is refused by both, naming who has none")
  func oneSided() throws {
    let cases: [(initiator: [UInt8], acceptor: [UInt8], without: String)] = [
      ([1], [], "acceptor"), ([], [1], "initiator"),
    ]
    for (initiator, acceptor, without) in cases {
      let (action, said) = try Self.outcome(initiator, acceptor)
      guard case .refuse(let error, sending: .error?) = action else {
        Issue.record("\(action)")
        continue
      }
      #expect(error.code == .unauthenticated)
      #expect(error.message.contains("\(without) has none"))
      #expect(said.count == 1)
      // The initiator does not believe an acceptor that says it has none, either.
      var party = try Party.make(.initiator, keys: initiator)
      let hello = try Party.make(.acceptor, keys: acceptor).hello
      guard case .refuse(let other, _) = party.machine.received(.hello(hello), payload: []) else {
        Issue.record("a peer was believed")
        continue
      }
      #expect(other.code == .unauthenticated)
    }
  }

  @Test("what is said in place of a proof, an info before all, is refused")
  func withoutProof() throws {
    let info = PeerInfo(model: nil, bootID: "", processID: 1, addresses: [], ranks: 1)
    for message in [Message.peerInfo(info), .acknowledged, .metricsRequest] {
      var acceptor = try Party.make(.acceptor, keys: [1])
      let initiator = try Party.make(.initiator, keys: [1])
      _ = acceptor.machine.received(.hello(initiator.hello), payload: initiator.payload)
      guard case .refuse(let error, _) = acceptor.machine.received(message, payload: []) else {
        Issue.record("\(message) was taken")
        continue
      }
      #expect(error.code == .unauthenticated)
    }
  }

  @Test("a proof that was sent back, recorded, cut or changed is refused")
  func forged() throws {
    // What an honest initiator says to this acceptor.
    func honest(nonce: UInt8, acceptorNonce: UInt8) throws -> Proof {
      var initiator = try Party.make(.initiator, keys: [1], nonce: nonce)
      let acceptor = try Party.make(.acceptor, keys: [1], nonce: acceptorNonce)
      let action = initiator.machine.received(.hello(acceptor.hello), payload: acceptor.payload)
      guard case .send(.proof(let proof)) = action else { fatalError("\(action)") }
      return proof
    }
    func isRefused(_ proof: Proof) throws -> Bool {
      var acceptor = try Party.make(.acceptor, keys: [1], nonce: 9)
      let initiator = try Party.make(.initiator, keys: [1], nonce: 5)
      _ = acceptor.machine.received(.hello(initiator.hello), payload: initiator.payload)
      guard case .refuse(let error, _) = acceptor.machine.received(.proof(proof), payload: [])
      else { return false }
      return error.code == .unauthenticated
    }
    let good = try honest(nonce: 5, acceptorNonce: 9)
    #expect(try !isRefused(good))
    #expect(try isRefused(try honest(nonce: 5, acceptorNonce: 8)), "of another connection")
    #expect(try isRefused(try honest(nonce: 4, acceptorNonce: 9)), "of another hello")
    #expect(try isRefused(Proof(codes: [Array(good.codes[0].dropLast())])))
    #expect(try isRefused(Proof(codes: [])))
    for bit in 0..<256 {
      var code = good.codes[0]
      code[bit / 8] ^= 1 << (bit % 8)
      #expect(try isRefused(Proof(codes: [code])), "bit \(bit)")
    }
    // The initiator's own proof, sent back to it.
    var initiator = try Party.make(.initiator, keys: [1], nonce: 5)
    let acceptor = try Party.make(.acceptor, keys: [1], nonce: 9)
    _ = initiator.machine.received(.hello(acceptor.hello), payload: acceptor.payload)
    guard case .refuse(let error, _) = initiator.machine.received(.proof(good), payload: [])
    else {
      Issue.record("a reflected proof was taken")
      return
    }
    #expect(error.code == .unauthenticated)
  }

  @Test("a key file holds one or two keys, and its errors tell nothing of them")
  func file() throws {
    let (a, b) = (String(repeating: "0f", count: 32), String(repeating: "F0", count: 40))
    let keys = try ClusterKeys(text: "# of the fleet\n\n \(a)\r\n\(b)\n")
    let second = try ClusterKey([UInt8](repeating: 0xf0, count: 40))
    let expected = try ClusterKeys([try Self.key(0x0f), second])
    #expect(keys == expected)
    let wrong: [(text: String, reason: String)] = [
      ("", "0 cluster keys"), ("# \(a)", "0 cluster keys"), ("\(a)\n\(a)", "two different"),
      ("\(a)\n\(b)\n\(b)", "3 cluster keys"), (String(a.dropLast(2)), "line 1"),
      ("\n" + String(a.dropLast()), "line 2"), (String(a.dropLast()) + "g", "line 1"),
      (String(a.dropLast()) + "é", "line 1"),
    ]
    for (text, reason) in wrong {
      let error = #expect(throws: BatonError.self) { try ClusterKeys(text: text) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(reason) == true, "\(text): \(String(describing: error))")
      #expect(error?.message.contains("0f0f") == false)
    }
  }
}
