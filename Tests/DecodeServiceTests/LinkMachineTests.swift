import DecodeService
import KVCore
import Testing

@Suite("The link to a prefill engine")
struct LinkMachineTests {
  private struct Step: Hashable {
    var state: LinkMachine
    var event: LinkMachine.Event
  }

  private static let (one, two) = (LinkID(1), LinkID(2))

  /// Every step that does something; all others keep the state.
  private static let steps: [Step: (next: LinkMachine, action: LinkMachine.Action)] = [
    Step(state: .none, event: .wanted): (.opening, .open),
    Step(state: .opening, event: .wanted): (.opening, .join),
    Step(state: .opening, event: .opened(one)): (.live(one), .use(one)),
    Step(state: .opening, event: .opened(two)): (.live(two), .use(two)),
    Step(state: .opening, event: .failed): (.none, .nothing),
    Step(state: .live(one), event: .wanted): (.live(one), .use(one)),
    Step(state: .live(one), event: .lost(one)): (.none, .nothing),
    Step(state: .live(one), event: .replaced(one, by: two)): (.live(two), .use(two)),
  ]

  @Test("every event in every state does what the table says")
  func table() {
    let events: [LinkMachine.Event] = [
      .wanted, .opened(Self.one), .opened(Self.two), .failed, .lost(Self.one), .lost(Self.two),
      .replaced(Self.one, by: Self.two), .replaced(Self.two, by: Self.one),
    ]
    for state in [LinkMachine.none, .opening, .live(Self.one)] {
      for event in events {
        var machine = state
        let action = machine.on(event)
        let expected = Self.steps[Step(state: state, event: event)] ?? (state, .nothing)
        #expect(machine == expected.next, "\(state) \(event)")
        #expect(action == expected.action, "\(state) \(event)")
      }
    }
  }
}
