import KVCore
import ProxyService
import Testing

@Suite("Retries")
struct RetryPolicyTests {
  private let start = ContinuousClock.now
  private let lost = BatonError(.peerGone, "the connection is lost")

  @Test("What a retry cannot mend is not retried")
  func finalErrors() {
    var policy = RetryPolicy()
    for code in ErrorCode.allCases where !code.isRetryable {
      let pause = policy.pause(
        after: BatonError(code, ""), hasBegun: true, progress: 3, now: start)
      #expect(pause == nil)
    }
  }

  @Test("A full engine is told to the client, unless its answer has begun")
  func fullEngine() {
    var policy = RetryPolicy()
    let full = BatonError(.resourceExhausted, "the queue is full")
    #expect(policy.pause(after: full, hasBegun: false, progress: 0, now: start) == nil)
    #expect(policy.pause(after: full, hasBegun: true, progress: 0, now: start) != nil)
  }

  @Test("Engines that fail one after the other are outlived for as long as one may take to return")
  func quickFailures() {
    var policy = RetryPolicy()
    var now = start
    var attempts = 0
    while let pause = policy.pause(after: lost, hasBegun: true, progress: 0, now: now) {
      attempts += 1
      now += pause
    }
    #expect(now - start >= .milliseconds(ProxyLimits.routeWaitMilliseconds))
    #expect(attempts > Limits.maximumAttempts && attempts < 5 * Limits.maximumAttempts)
  }

  @Test("Attempts that each take long are few")
  func slowFailures() {
    var policy = RetryPolicy()
    for failure in 1...Limits.maximumAttempts {
      let pause = policy.pause(
        after: lost, hasBegun: true, progress: 0, now: start + .seconds(60) * failure)
      #expect((pause != nil) == (failure < Limits.maximumAttempts), "failure \(failure)")
    }
  }

  @Test("Progress makes a request as good as new")
  func progress() {
    var policy = RetryPolicy()
    var pauses: Set<Duration> = []
    for token in 1...100 {
      let pause = policy.pause(
        after: lost, hasBegun: true, progress: token, now: start + .seconds(60) * token)
      if let pause { pauses.insert(pause) }
      #expect(pause != nil)
    }
    #expect(pauses.count == 1)
  }
}
