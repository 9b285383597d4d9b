import ControlProtocol
import ControlTransport
import KVCore

/// The engines that serve one attempt of one request.
struct Route: Sendable {
  /// One live engine, as it was when the route was chosen.
  struct Leg: Sendable {
    let member: Int
    let connection: ControlConnection

    var engine: EngineID { connection.remote.engine }
    /// As in `ServedModel.fingerprint`; nil for an engine that serves no model.
    var modelFingerprint: String? {
      connection.remoteInfo.model.map { ServedModel.fingerprint(of: $0) }
    }
  }

  enum Kind: Sendable {
    case pair(prefill: Leg, decode: Leg)
    case hybrid(Leg)
  }

  let kind: Kind

  var isPair: Bool {
    if case .pair = kind { true } else { false }
  }

  var legs: [Leg] {
    switch kind {
    case .pair(let prefill, let decode): [prefill, decode]
    case .hybrid(let leg): [leg]
    }
  }

  /// The fleet members whose outstanding requests this route is counted among.
  var members: [Int] { legs.map(\.member) }

  /// Which engine reads the prompt and which writes the answer.
  var engineNames: (prefill: String, decode: String) {
    switch kind {
    case .pair(let prefill, let decode): (prefill.engine.name, decode.engine.name)
    case .hybrid(let leg): (leg.engine.name, leg.engine.name)
    }
  }
}
