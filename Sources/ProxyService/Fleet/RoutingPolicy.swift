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

/// The engine with the fewest unfinished requests; the first of equals.
package struct LeastOutstanding: RoutingPolicy {
  package init() {}

  package func choose(among candidates: [RoutingCandidate]) -> Int? {
    candidates.indices.min { candidates[$0].outstanding < candidates[$1].outstanding }
  }
}
