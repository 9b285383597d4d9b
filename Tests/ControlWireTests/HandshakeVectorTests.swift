import ControlProtocol
import ControlWire
import Foundation
import KVCore
import Testing

/// `Protocols/vectors/handshake.json`: proofs that were not made by this code.
@Suite("Handshake vectors")
struct HandshakeVectorTests {
  private struct File: Decodable {
    var vectors: [Vector]
  }

  private struct Vector: Decodable {
    var name: String
    var keys: [String]
    var initiator_hello: String
    var acceptor_hello: String
    var initiator_codes: [String]
    var acceptor_codes: [String]
  }

  private static func hello(_ payload: [UInt8]) throws -> Hello {
    guard case .hello(let hello) = try MessageCodecTests.decode(1, payload) else {
      throw BatonError(.internalError, "not a hello")
    }
    return hello
  }

  private static func proof(_ codes: [String]) throws -> Message {
    .proof(Proof(codes: try codes.map { try VectorTests.bytes($0) }))
  }

  private static func machine(
    _ side: HandshakeMachine.Side, _ payload: [UInt8], _ keys: ClusterKeys
  ) throws -> HandshakeMachine {
    HandshakeMachine(
      side: side, hello: try hello(payload), helloPayload: payload,
      info: PeerInfo(model: nil, bootID: "", processID: 1, addresses: [], ranks: 1), keys: keys)
  }

  @Test("both sides prove the keys with the vector's codes, and take them from each other")
  func proofs() throws {
    let data = try Data(contentsOf: VectorTests.directory.appending(path: "handshake.json"))
    let vectors = try JSONDecoder().decode(File.self, from: data).vectors
    #expect(!vectors.isEmpty)
    for vector in vectors {
      let keys = try ClusterKeys(vector.keys.map { try ClusterKey(VectorTests.bytes($0)) })
      let initiatorHello = try VectorTests.bytes(vector.initiator_hello)
      let acceptorHello = try VectorTests.bytes(vector.acceptor_hello)
      var initiator = try Self.machine(.initiator, initiatorHello, keys)
      var acceptor = try Self.machine(.acceptor, acceptorHello, keys)
      _ = initiator.start()
      _ = acceptor.start()

      let proof = try Self.proof(vector.initiator_codes)
      let atInitiator = initiator.received(
        .hello(try Self.hello(acceptorHello)), payload: acceptorHello)
      #expect(atInitiator == .send(proof), "\(vector.name)")
      _ = acceptor.received(.hello(try Self.hello(initiatorHello)), payload: initiatorHello)
      let answer = acceptor.received(proof, payload: [])
      #expect(answer == .send(try Self.proof(vector.acceptor_codes)), "\(vector.name)")
    }
  }
}
