import ProxyService
import Testing

@Suite("One attempt at a request")
struct AttemptMachineTests {
  private typealias Machine = AttemptMachine
  private struct Step: Hashable {
    var state: Machine
    var event: Machine.Event
  }

  /// Every step that an attempt may take; all others but those after its end are violations.
  private static let steps: [Step: (next: Machine, action: Machine.Action)] = [
    Step(state: .hybrid, event: .chunk): (.hybrid, .take),
    Step(state: .hybrid, event: .ended): (.over, .exhausted),
    Step(state: .asked, event: .accepted): (.both, .startDecode),
    Step(state: .asked, event: .ended): (.over, .exhausted),
    Step(state: .both, event: .prefilled): (.both, .take),
    Step(state: .both, event: .chunk): (.both, .take),
    Step(state: .both, event: .ended): (.one, .nothing),
    Step(state: .one, event: .prefilled): (.one, .take),
    Step(state: .one, event: .chunk): (.one, .take),
    Step(state: .one, event: .ended): (.over, .exhausted),
  ]

  @Test("every event in every state does what the table says")
  func table() {
    for state in Machine.allCases {
      for event in Machine.Event.allCases {
        var machine = state
        let action = machine.on(event)
        let other: Machine.Action = state == .over ? .nothing : .violation
        let expected = Self.steps[Step(state: state, event: event)] ?? (.over, other)
        #expect(machine == expected.next, "\(state) \(event)")
        #expect(action == expected.action, "\(state) \(event)")
      }
    }
  }
}
