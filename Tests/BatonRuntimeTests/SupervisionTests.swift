import BatonRuntime
import KVCore
import Testing

@Suite("Supervision") struct SupervisionTests {
  @Test("carries a notice over a line and takes other lines for none")
  func notices() {
    let notice = Supervision.Notice.serving(url: "http://[::1]:80", model: "my model")
    #expect(Supervision.Notice(line: notice.line) == notice)
    let misconfigured = Supervision.Notice.misconfigured(reason: "--port: 8000 is in use")
    #expect(Supervision.Notice(line: misconfigured.line) == misconfigured)
    for line in ["", "serving", "serving http://x", "2026 info serving x y"] {
      #expect(Supervision.Notice(line: line) == nil)
    }
  }

  @Test("is what BATON_SUPERVISED=1 says")
  func environment() {
    #expect(Supervision.isSupervised(environment: ["BATON_SUPERVISED": "1"]))
    #expect(!Supervision.isSupervised(environment: ["BATON_SUPERVISED": "0"]))
    #expect(!Supervision.isSupervised(environment: [:]))
  }

  @Test("gives up a process that has failed three times at its start and never settled")
  func failsAtStart() {
    var policy = RestartPolicy()
    #expect(policy.decide(.exited(code: 1), after: .zero) == .restart(after: .milliseconds(100)))
    #expect(policy.decide(.exited(code: 1), after: .zero) == .restart(after: .milliseconds(200)))
    #expect(policy.decide(.exited(code: 1), after: .zero) == .giveUp)
  }

  @Test("gives up at once a process that refuses its configuration", arguments: [64, 78])
  func misconfigured(code: Int32) {
    var policy = RestartPolicy()
    #expect(policy.decide(.exited(code: code), after: .zero) == .giveUpConfiguration)
  }

  @Test("ends a process with EX_CONFIG for what another start would not change")
  func exitStatus() {
    for code in ErrorCode.allCases {
      let isConfiguration = [.invalidArgument, .incompatible].contains(code)
      #expect(
        ExitStatus(endedBy: BatonError(code, "x")) == (isConfiguration ? .configuration : .failure))
    }
  }

  @Test("takes a crash at the start for a failure of the process's own", arguments: [4, 5, 6, 11])
  func crashes(signal: Int32) {
    var policy = RestartPolicy()
    for _ in 1..<RestartPolicy.maximumFailuresAtStart {
      #expect(policy.decide(.signalled(signal), after: .zero) != .giveUp)
    }
    #expect(policy.decide(.signalled(signal), after: .zero) == .giveUp)
  }

  @Test("never gives up a process that is killed or has settled once", arguments: [1, 64, 78])
  func keepsRestarting(code: Int32) {
    var killed = RestartPolicy()
    var settled = RestartPolicy()
    _ = settled.decide(.exited(code: 1), after: RestartPolicy.settledAfter)
    for _ in 0..<20 {
      for policy in [
        killed.decide(.signalled(9), after: .zero),
        settled.decide(.exited(code: code), after: .zero),
      ] {
        #expect(policy != .giveUp && policy != .giveUpConfiguration)
      }
    }
    #expect(
      killed.decide(.signalled(9), after: .zero) == .restart(after: RestartPolicy.maximumDelay))
    #expect(
      killed.decide(.signalled(9), after: RestartPolicy.settledAfter)
        == .restart(after: RestartPolicy.firstDelay))
  }
}
