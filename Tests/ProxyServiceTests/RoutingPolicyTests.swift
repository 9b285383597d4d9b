import KVCore
import ProxyService
import Testing

@Suite("Routing")
struct RoutingPolicyTests {
  @Test("An engine with the fewest unfinished requests is chosen, and of equals each at times")
  func leastOutstanding() throws {
    let policy = LeastOutstanding()
    let candidates = try [3, 1, 2, 1].enumerated().map { index, outstanding in
      RoutingCandidate(engine: try EngineID("decode-\(index)"), outstanding: outstanding)
    }
    let chosen = (0..<100).map { _ in policy.choose(among: candidates) }
    #expect(Set(chosen) == [1, 3])
    #expect(policy.choose(among: []) == nil)
  }
}
