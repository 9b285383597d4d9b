import ControlProtocol
import KVCore
import ProxyService
import Testing

@Suite("Preparing completions") struct PreparedCompletionTests {
  private func prepare(
    _ prompt: CompletionRequest.Prompt,
    change: (inout CompletionRequest) -> Void = { _ in }
  ) throws -> PreparedCompletion {
    var request = CompletionRequest(model: "bytes", prompt: prompt)
    change(&request)
    return try PreparedCompletion(
      request, id: RequestID("cmpl-1"), model: ByteTokenizer.model(contextTokens: 20), seed: 99)
  }

  @Test("turns a text into tokens and draws a seed where none was given")
  func tokens() throws {
    let drawn = try prepare(.text("ab"))
    #expect(drawn.generation.promptTokens == ByteTokenizer.tokens("ab"))
    #expect(drawn.generation.sampling.seed == 99)
    #expect(drawn.generation.sampling.maximumTokens == 16)
    let given = try prepare(.tokens([5])) { $0.seed = 3 }
    #expect(given.generation.promptTokens == [5])
    #expect(given.generation.sampling.seed == 3)
  }

  @Test("refuses a token that the model does not have", arguments: [-1, 256, Int.max])
  func unknownToken(token: Int) throws {
    let error = try #require(throws: APIError.self) { try prepare(.tokens([0, 255, token])) }
    #expect(error.status == 400)
    #expect(error.parameter == "prompt")
    #expect(error.message.contains("token \(token) ") && error.message.contains("0 to 255"))
  }

  @Test("shortens the answer whose length the client left open to what fits")
  func openLength() throws {
    let prompt = Array(repeating: 1, count: 19)
    #expect(try prepare(.tokens(prompt)).generation.sampling.maximumTokens == 1)
    let error = try #require(throws: APIError.self) { try prepare(.tokens(prompt + [1])) }
    #expect(error.code == "context_length_exceeded")
    #expect(error.parameter == "prompt")
    #expect(!error.message.contains("max_tokens"))
  }

  @Test("refuses what does not fit into the context, with the numbers", arguments: [17, Int.max])
  func context(maximumTokens: Int) throws {
    let error = try #require(throws: APIError.self) {
      try prepare(.tokens([1, 2, 3, 4])) { $0.maximumTokens = maximumTokens }
    }
    #expect(error.status == 400)
    #expect(error.code == "context_length_exceeded")
    for number in ["20", "4", "\(maximumTokens)"] { #expect(error.message.contains(number)) }
    #expect(throws: Never.self) {
      try prepare(.tokens([1, 2, 3, 4])) { $0.maximumTokens = 16 }
    }
  }

  @Test("refuses an empty prompt for a tokenizer that begins no text of its own")
  func empty() throws {
    for prompt in [CompletionRequest.Prompt.text(""), .tokens([])] {
      let error = try #require(throws: APIError.self) { try prepare(prompt) }
      #expect(error.status == 400)
      #expect(error.parameter == "prompt")
      #expect(error.message.contains("list") == (prompt == .tokens([])))
    }
  }
}
