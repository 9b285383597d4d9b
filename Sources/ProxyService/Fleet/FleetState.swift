import ControlProtocol
import ControlTransport
import KVCore
import Tokenizer

/// What the proxy knows of its engines; a plain value behind `Fleet`'s lock.
struct FleetState {
  struct Member {
    let address: ControlAddress
    let role: Role
    /// Nil while the engine is not reached or was refused.
    var connection: ControlConnection?
    var outstanding = 0
    /// Why there is no connection, for the readiness answer and the log.
    var reason = "not connected yet"
    /// The reason that was logged last.
    var reportedReason: String?
  }

  var members: [Member]
  /// That of the live engines, or of the last that were.
  var model: ServedModel?
  /// Told at every change of a member; by number.
  var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
  var nextWaiter = 0

  /// The index and connection of each live engine of a role.
  func live(_ role: Role) -> [Route.Leg] {
    members.enumerated().compactMap { index, member in
      guard member.role == role, let connection = member.connection, connection.isOpen else {
        return nil
      }
      return Route.Leg(member: index, connection: connection)
    }
  }

  /// Why an engine cannot join those that are live, with both values, or nil.
  func refusal(of summary: ModelSummary, engine: EngineID, role: Role) -> BatonError? {
    for member in members {
      guard let other = member.connection, other.isOpen, let theirs = other.remoteInfo.model else {
        continue
      }
      if other.remote.engine == engine {
        return BatonError(
          .incompatible, "another engine has the name \(engine) already; each needs its own --name")
      }
      if theirs.fingerprint != summary.fingerprint {
        return BatonError(
          .incompatible,
          "engine \(engine) runs model \(summary.name) (\(summary.shortFingerprint)); "
            + "\(other.remote.engine) runs \(theirs.name) (\(theirs.shortFingerprint))")
      }
      // A hybrid hands nothing over, so its blocks may have another length; but it goes on with
      // what a pair has begun, and must compute the same.
      let isAlone = role == .hybrid || member.role == .hybrid
      if isAlone
        ? theirs.geometry.groups != summary.geometry.groups : theirs.geometry != summary.geometry
      {
        return BatonError(
          .incompatible,
          "engine \(engine) has KV geometry \(summary.geometry); \(other.remote.engine) has "
            + "\(theirs.geometry)")
      }
    }
    return nil
  }

  /// A pair or a hybrid engine: whichever has failed less, then whichever has less to do; a pair
  /// when both are the same.
  ///
  /// - Parameter failed: members to be taken only where there are no others of their role.
  mutating func route(
    avoiding failed: Set<Int>, prefillPolicy: any RoutingPolicy, decodePolicy: any RoutingPolicy
  ) -> Route? {
    let prefill = choose(.prefill, avoiding: failed, by: prefillPolicy)
    let decode = choose(.decode, avoiding: failed, by: decodePolicy)
    let hybrid = choose(.hybrid, avoiding: failed, by: decodePolicy)
    let kind: Route.Kind
    switch (prefill, decode, hybrid) {
    case (let prefill?, let decode?, let hybrid?):
      kind =
        cost(of: [hybrid], failed) < cost(of: [prefill, decode], failed)
        ? .hybrid(hybrid) : .pair(prefill: prefill, decode: decode)
    case (let prefill?, let decode?, nil): kind = .pair(prefill: prefill, decode: decode)
    case (_, _, let hybrid?): kind = .hybrid(hybrid)
    default: return nil
    }
    let route = Route(kind: kind)
    for member in route.members { members[member].outstanding += 1 }
    return route
  }

  /// How many of the engines have failed, then how much the busiest has to do.
  private func cost(of legs: [Route.Leg], _ failed: Set<Int>) -> (failed: Int, load: Int) {
    (
      failed: legs.count { failed.contains($0.member) },
      load: legs.reduce(0) { max($0, members[$1.member].outstanding) }
    )
  }

  private func choose(
    _ role: Role, avoiding failed: Set<Int>, by policy: any RoutingPolicy
  ) -> Route.Leg? {
    let all = live(role)
    let fresh = all.filter { !failed.contains($0.member) }
    let legs = fresh.isEmpty ? all : fresh
    let candidates = legs.map { leg in
      RoutingCandidate(engine: leg.engine, outstanding: members[leg.member].outstanding)
    }
    return policy.choose(among: candidates).map { legs[$0] }
  }

  /// Why no request can be served, or nil when one can.
  func whatIsMissing() -> String? {
    let hasPair = !live(.prefill).isEmpty && !live(.decode).isEmpty
    guard !hasPair, live(.hybrid).isEmpty else { return nil }
    let configured = Set(members.map(\.role))
    return [Role.prefill, .decode, .hybrid]
      .filter { configured.contains($0) && live($0).isEmpty }
      .map { role in
        let reasons = members.filter { $0.role == role }.map(\.reason)
        return "no live \(role) engine (\(reasons.joined(separator: "; ")))"
      }
      .joined(separator: ", ")
  }
}
