import Foundation

/// What a test asks `/v1/completions` for.
struct CompletionQuery: Encodable, Sendable {
  var model = "baton-stories"
  var prompt: [Int]
  var max_tokens = 24
  var temperature = 0.0
  var seed = 7
  var ignore_eos = true
  var return_token_ids = true
  var stream = false
}

/// What a test reads of an answer, whole or one chunk of a stream.
struct CompletionAnswer: Decodable, Sendable {
  struct Choice: Decodable, Sendable {
    var text: String
    var token_ids: [Int]?
    var finish_reason: String?
  }

  struct Hop: Decodable, Sendable {
    var prefill: String
    var decode: String
  }

  var choices: [Choice]
  var baton: Hop?
}
