import ControlProtocol
import Testing

@Suite("Liveness of a peer")
struct PeerLivenessTests {
  private let start = ContinuousClock.now

  private func machine() -> PeerLiveness {
    PeerLiveness(
      timeout: .milliseconds(800), frameTimeout: .seconds(3), messageTimeout: .seconds(5),
      longestInterval: .seconds(1), now: start)
  }

  /// What the ticks say from just after `first` to `last`, in milliseconds after the start.
  private func ticks(
    _ machine: inout PeerLiveness, from first: Int, through last: Int
  ) -> [PeerLiveness.Action] {
    stride(from: first + 100, through: last, by: 100)
      .map { machine.tick(now: start + .milliseconds($0)) }
      .filter { $0 != .nothing }
  }

  @Test("a silent peer is asked once, then it is gone")
  func silent() {
    var machine = machine()
    #expect(
      ticks(&machine, from: 0, through: 800) == [.ping(1), .gone(after: .milliseconds(800))])
  }

  @Test("whatever a peer says shows that it is there")
  func answers() {
    var machine = machine()
    var now = 0
    for number in UInt64(1)...20 {
      #expect(ticks(&machine, from: now, through: now + 700) == [.ping(number)])
      now += 700
      machine.received(completes: true, leavesPart: false, now: start + .milliseconds(now))
    }
  }

  @Test("a frame must be whole in time, however its bytes drip in")
  func dripping() {
    var machine = machine()
    var actions: [PeerLiveness.Action] = []
    for now in stride(from: 100, through: 3_100, by: 100) {
      let instant = start + .milliseconds(now)
      machine.received(completes: false, leavesPart: true, now: instant)
      actions.append(machine.tick(now: instant))
    }
    #expect(actions.filter { $0 != .nothing } == [.unfinished(after: .seconds(3))])
  }

  @Test("messages that stay in parts end the connection, those that are finished do not")
  func parkedMessages() {
    var (parked, busy) = (machine(), machine())
    var actions: [PeerLiveness.Action] = []
    for now in stride(from: 100, through: 5_100, by: 100) {
      let instant = start + .milliseconds(now)
      parked.received(completes: true, leavesPart: false, leavesMessages: true, now: instant)
      busy.received(
        completes: true, leavesPart: false, leavesMessages: now % 1_000 != 0, now: instant)
      actions.append(parked.tick(now: instant))
      #expect(busy.tick(now: instant) == .nothing)
    }
    #expect(actions.filter { $0 != .nothing } == [.unfinished(after: .seconds(5))])
  }

  @Test("each frame has the time for itself")
  func manyFrames() {
    var machine = machine()
    for now in stride(from: 100, through: 10_000, by: 100) {
      let instant = start + .milliseconds(now)
      machine.received(completes: true, leavesPart: true, now: instant)
      #expect(machine.tick(now: instant) == .nothing)
    }
  }

  @Test("time in which this side was stopped is not held against the peer")
  func stopped() {
    var machine = machine()
    machine.received(completes: false, leavesPart: true, now: start)
    #expect(machine.tick(now: start + .milliseconds(100)) == .nothing)
    // Ten minutes later: the peer is asked, and has its time.
    let later = 600_000
    let action = machine.tick(now: start + .milliseconds(later))
    #expect(action == .nothing || action == .ping(1))
    let actions = [action] + ticks(&machine, from: later, through: later + 800)
    #expect(actions.contains(.ping(1)))
    guard case .gone(let silence)? = actions.last else {
      Issue.record("\(actions)")
      return
    }
    #expect(silence < .seconds(2))
  }
}
