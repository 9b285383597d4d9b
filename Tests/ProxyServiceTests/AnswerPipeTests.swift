import NIOCore
import ProxyService
import Testing

@Suite("The pipe of an answer", .timeLimit(.minutes(1))) struct AnswerPipeTests {
  private func bytes(_ text: String) -> AnswerPipe.Output { .bytes(ByteBuffer(string: text)) }

  @Test("gives out all that is ready in one piece")
  func coalesces() async {
    let pipe = AnswerPipe()
    for text in ["a", "b", "c"] { pipe.append(ByteBuffer(string: text)) }
    #expect(await pipe.next() == bytes("abc"))
    pipe.append(ByteBuffer(string: "d"))
    pipe.finish()
    #expect(await pipe.next() == bytes("d"))
    #expect(await pipe.next() == .end)
    #expect(await pipe.next() == .end)
  }

  @Test("wakes a reader that waits", arguments: 0..<4)
  func wakes(way: Int) async {
    let pipe = AnswerPipe()
    async let output = pipe.next()
    let error = APIError.invalidRequest("x")
    let expected: AnswerPipe.Output
    switch way {
    case 0:
      pipe.append(ByteBuffer(string: "a"))
      expected = bytes("a")
    case 1:
      pipe.finish()
      expected = .end
    case 2:
      pipe.fail(error)
      expected = .failed(error)
    default:
      pipe.abort()
      expected = .aborted
    }
    #expect(await output == expected)
  }

  @Test("gives out what came before a failure")
  func failure() async {
    let pipe = AnswerPipe()
    let error = APIError.invalidRequest("x")
    pipe.append(ByteBuffer(string: "a"))
    pipe.fail(error)
    pipe.append(ByteBuffer(string: "late"))
    #expect(await pipe.next() == bytes("a"))
    #expect(await pipe.next() == .failed(error))
  }

  @Test("drops what a client that has gone did not read")
  func abort() async {
    let pipe = AnswerPipe()
    pipe.append(ByteBuffer(string: "a"))
    pipe.abort()
    pipe.append(ByteBuffer(string: "b"))
    pipe.finish()
    #expect(await pipe.next() == .aborted)
  }

  @Test("cuts off a reader that leaves more lying than the limit")
  func limit() async {
    let pipe = AnswerPipe(limit: 3)
    pipe.append(ByteBuffer(string: "abc"))
    #expect(await pipe.next() == bytes("abc"))
    pipe.append(ByteBuffer(string: "abcd"))
    #expect(await pipe.next() == .aborted)
  }

  @Test("tells of a reader that is cut off while it is busy, and which turn it is busy with")
  func busyReader() async throws {
    let (overflows, continuation) = AsyncStream<Void>.makeStream()
    let pipe = AnswerPipe(limit: 3) { continuation.yield() }
    pipe.append(ByteBuffer(string: "abc"))
    #expect(await pipe.next() == bytes("abc"))
    let turn = pipe.busyTurn
    #expect(turn != nil)
    #expect(pipe.busyTurn == turn)
    async let waiting = pipe.next()
    while pipe.busyTurn != nil {
      try Task.checkCancellation()
      await Task.yield()
    }
    pipe.append(ByteBuffer(string: "d"))
    #expect(await waiting == bytes("d"))
    #expect(pipe.busyTurn != turn)
    pipe.append(ByteBuffer(string: "abcd"))
    for await _ in overflows { break }
    #expect(await pipe.next() == .aborted)
  }

  @Test("tells a cancelled reader that nobody wants the rest")
  func cancelled() async {
    let pipe = AnswerPipe()
    let reader = Task { await pipe.next() }
    reader.cancel()
    #expect(await reader.value == .aborted)
  }
}
