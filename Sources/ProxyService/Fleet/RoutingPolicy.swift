package import KVCore

/// One engine that could take a request.
package struct RoutingCandidate: Sendable {
  package var engine: EngineID
  /// Requests that this proxy has given it and that are not finished.
  package var outstanding: Int

  package init(engine: EngineID, outstanding: Int) {
    self.engine = engine
    self.outstanding = outstanding
  }
}

/// Chooses among engines of one role. Prefill and decode each have a policy of their own.
package protocol RoutingPolicy: Sendable {
  /// The index of the chosen candidate; nil only when there is none.
  func choose(among candidates: [RoutingCandidate]) -> Int?
}

/// The engine with the fewest unfinished requests, any one of equals: an engine that hangs with
/// nothing to do must not get every request.
package struct LeastOutstanding: RoutingPolicy {
  package init() {}

  package func choose(among candidates: [RoutingCandidate]) -> Int? {
    let least = candidates.lazy.map(\.outstanding).min()
    return candidates.indices.filter { candidates[$0].outstanding == least }.randomElement()
  }
}
