import ControlProtocol
import Testing

@Suite("Stream machine")
struct StreamMachineTests {
  private typealias Machine = StreamMachine
  private struct Step: Hashable {
    var state: Machine
    var event: Machine.Event
  }

  /// Every step that does something; all others keep the state and drop what came.
  private static let steps: [Step: (next: Machine, action: Machine.Action)] = [
    Step(state: .asking, event: .answerReceived): (.asking, .deliver),
    Step(state: .asking, event: .lastAnswerReceived): (.closed, .deliverLast),
    Step(state: .asking, event: .errorReceived): (.closed, .fail),
    Step(state: .asking, event: .cancelReceived): (.closed, .failCancelled),
    Step(state: .asking, event: .cancelled): (.closed, .sendCancel),
    Step(state: .answering, event: .answerMade): (.answering, .send),
    Step(state: .answering, event: .lastAnswerMade): (.answered, .sendLast),
    Step(state: .answering, event: .cancelReceived): (.withdrawn, .stopHandler),
    Step(state: .answering, event: .expired): (.withdrawn, .sendLast),
    Step(state: .answering, event: .handlerReturned): (.closed, .sendMissingAnswer),
    Step(state: .answered, event: .handlerReturned): (.closed, .drop),
    Step(state: .withdrawn, event: .handlerReturned): (.closed, .drop),
  ]

  @Test("every event in every state does what the table says")
  func table() {
    for state in Machine.allCases {
      for event in Machine.Event.allCases {
        var machine = state
        let action = machine.on(event)
        let expected = Self.steps[Step(state: state, event: event)] ?? (state, .drop)
        #expect(machine == expected.next, "\(state) \(event)")
        #expect(action == expected.action, "\(state) \(event)")
      }
    }
  }
}
