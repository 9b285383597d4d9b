import KVCore
import NIOCore
import ProxyService
import Testing

@Suite("Errors for clients") struct APIErrorTests {
  @Test(
    "have the status that tells whose turn it is",
    arguments: [
      (ErrorCode.invalidArgument, 400), (.resourceExhausted, 503), (.unavailable, 503),
      (.peerGone, 503), (.deadlineExceeded, 504), (.internalError, 500), (.staleBlock, 503),
    ])
  func statuses(code: ErrorCode, status: Int) {
    let error = APIError(BatonError(code, "why"))
    #expect(error.status == status)
    #expect(error.message == "why")
    #expect((error.retryAfterSeconds != nil) == [503, 504].contains(status))
  }

  @Test("say when to come back in whole seconds, rounded up")
  func retryAfter() {
    let error = APIError(BatonError(.resourceExhausted, "full", retryAfterMilliseconds: 1_001))
    #expect(error.retryAfterSeconds == 2)
    #expect(APIError.tooManyRequests(limit: 3).status == 429)
    #expect(APIError.tooManyRequests(limit: 3).retryAfterSeconds == 1)
  }

  @Test("are written in OpenAI's shape")
  func json() {
    let error = APIError.invalidRequest("a \"b\"", parameter: "n")
    #expect(
      String(buffer: error.json)
        == #"{"error":{"message":"a \"b\"","type":"invalid_request_error","#
        + #""param":"n","code":null}}"#
    )
  }
}
