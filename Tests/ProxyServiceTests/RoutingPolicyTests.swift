import KVCore
import ProxyService
import Testing

@Suite("Routing")
struct RoutingPolicyTests {
  @Test("The engine with the fewest unfinished requests is chosen, the first of equals")
  func leastOutstanding() throws {
    let policy = LeastOutstanding()
    let candidates = try [3, 1, 2, 1].enumerated().map { index, outstanding in
      RoutingCandidate(engine: try EngineID("decode-\(index)"), outstanding: outstanding)
    }
    #expect(policy.choose(among: candidates) == 1)
    #expect(policy.choose(among: []) == nil)
  }
}
