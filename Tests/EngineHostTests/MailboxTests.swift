import EngineHost
import Testing

@Suite("Mailbox", .timeLimit(.minutes(1)))
struct MailboxTests {
  @Test("A waiting thread gets every command, in the order of each sender")
  func order() async throws {
    let mailbox = Mailbox<(sender: Int, number: Int)>()
    let worker = try WorkerThread(name: "mailbox-test")
    let received = Task {
      await worker.run {
        var received: [(sender: Int, number: Int)] = []
        while received.count < 4_000 { received += mailbox.wait(until: nil) }
        return received
      }
    }
    await withTaskGroup(of: Void.self) { group in
      for sender in 0..<4 {
        group.addTask {
          for number in 0..<1_000 { mailbox.post((sender, number)) }
        }
      }
    }
    let all = await received.value
    for sender in 0..<4 {
      #expect(all.filter { $0.sender == sender }.map(\.number) == Array(0..<1_000))
    }
  }

  @Test("A wait whose deadline has passed returns with nothing")
  func deadline() async throws {
    let mailbox = Mailbox<Int>()
    let worker = try WorkerThread(name: "mailbox-test")
    #expect(await worker.run { mailbox.wait(until: .now) } == [])
    mailbox.post(1)
    #expect(await worker.run { mailbox.wait(until: .now) } == [1])
  }
}
