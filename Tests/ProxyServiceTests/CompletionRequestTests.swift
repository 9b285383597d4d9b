import Foundation
import KVCore
import ProxyService
import Testing

@Suite("Parsing completion requests") struct CompletionRequestTests {
  private func parse(_ fields: String) throws -> CompletionRequest {
    try CompletionRequest(json: EdgeFixture.body(fields).utf8)
  }

  @Test("takes OpenAI's defaults")
  func defaults() throws {
    #expect(try parse("") == CompletionRequest(model: "bytes", prompt: .text("ab")))
    let request = try parse("")
    #expect(request.maximumTokens == nil)
    #expect(request.temperature == 1)
    #expect(request.seed == nil && request.stops.isEmpty && !request.streams)
  }

  @Test(
    "takes every form of one prompt",
    arguments: [
      (#""text""#, CompletionRequest.Prompt.text("text")), (#"["text"]"#, .text("text")),
      ("[1, 2]", .tokens([1, 2])), ("[[1, 2]]", .tokens([1, 2])), (#""""#, .text("")),
    ])
  func prompts(json: String, prompt: CompletionRequest.Prompt) throws {
    let request = try CompletionRequest(json: #"{"model": "m", "prompt": \#(json)}"#.utf8)
    #expect(request.prompt == prompt)
  }

  @Test("reads each parameter")
  func parameters() throws {
    let request = try parse(
      #""max_tokens": 7, "temperature": 0, "seed": -1, "stop": ["x", "yz"], "stream": true, "#
        + #""stream_options": {"include_usage": true}, "ignore_eos": true, "user": "me""#)
    #expect(request.maximumTokens == 7)
    #expect(request.temperature == 0)
    #expect(request.seed == UInt64.max)
    #expect(request.stops == ["x", "yz"])
    #expect(request.streams && request.includesUsage && request.ignoresEndTokens)
    #expect(try parse(#""stop": "x""#).stops == ["x"])
    #expect(try parse(#""seed": 9223372036854775807"#).seed == UInt64(Int64.max))
  }

  @Test(
    "takes parameters that change nothing",
    arguments: [
      #""n": 1"#, #""best_of": 1"#, #""echo": false"#, #""logprobs": null"#, #""suffix": null"#,
      #""top_p": 1"#, #""top_p": 1.0"#, #""frequency_penalty": 0"#, #""presence_penalty": 0.0"#,
      #""logit_bias": {}"#, #""logit_bias": null"#, #""max_tokens": null"#, #""stop": null"#,
      #""stream": false"#, #""seed": null"#, #""temperature": null"#,
    ])
  func neutral(field: String) throws {
    #expect(try parse(field) == parse(""))
  }

  @Test(
    "refuses a wrong value with the parameter, the value and what is allowed",
    arguments: [
      ("max_tokens", "0", "from 1"), ("max_tokens", "-5", "from 1"),
      ("max_tokens", "1.5", "whole number"), ("max_tokens", #""5""#, "whole number"),
      ("temperature", "2.5", "0 to 2"), ("temperature", "-1", "0 to 2"),
      ("temperature", "true", "0 to 2"), ("seed", "1.5", "\(Int64.min) to"),
      ("seed", #""a""#, "whole number"),
      ("seed", "9223372036854775808", "to 9223372036854775807"),
      ("stop", "[]1", "JSON"), ("stop", #"["a", "b", "c", "d", "e"]"#, "up to 4"),
      ("stop", #""""#, "1 to 1024"), ("stop", "5", "text"), ("stream", "1", "true or false"),
      ("stream_options", #"{"include_usage": true}"#, "stream true"),
      ("ignore_eos", "0", "true or false"), ("user", "5", "text"), ("n", "2", "1"),
      ("best_of", "3", "1"), ("echo", "true", "false"), ("logprobs", "1", "null"),
      ("suffix", #""x""#, "null"), ("top_p", "0.5", "1"), ("frequency_penalty", "1", "0"),
      ("presence_penalty", "-2", "0"), ("logit_bias", #"{"5": 1}"#, "{}"),
    ])
  func wrongValues(parameter: String, value: String, allowed: String) throws {
    let error = try #require(throws: APIError.self) { try parse("\"\(parameter)\": \(value)") }
    #expect(error.status == 400)
    #expect(error.type == "invalid_request_error")
    #expect(error.message.contains(allowed), "\(error.message)")
    if allowed != "JSON" {
      #expect(error.parameter == parameter)
      #expect(error.message.contains("\(parameter): \(value)"), "\(error.message)")
    }
  }

  @Test(
    "refuses several prompts and prompts of no kind",
    arguments: [#"["a", "b"]"#, "[[1], [2]]", "5", "[1, \"a\"]", "null", "{}", "[1.5]"])
  func wrongPrompts(json: String) throws {
    let error = try #require(throws: APIError.self) {
      try CompletionRequest(json: #"{"model": "m", "prompt": \#(json)}"#.utf8)
    }
    #expect(error.status == 400)
    #expect(error.parameter == "prompt")
  }

  @Test(
    "says of a text that is not valid Unicode that it is none",
    arguments: [#""\ud800""#, #"["\ud800"]"#, "\"\u{1}\""])
  func wrongUnicode(prompt: String) throws {
    // 0x01 stands for a byte that UTF-8 does not have.
    let body = #"{"model": "m", "prompt": \#(prompt)}"#.utf8.map { $0 == 1 ? 0xFF : $0 }
    let error = try #require(throws: APIError.self) { try CompletionRequest(json: body) }
    #expect(error.status == 400)
    #expect(error.parameter == "prompt")
    #expect(error.message.contains("not valid Unicode"), "\(error.message)")
  }

  @Test("refuses an argument that it does not know in OpenAI's words")
  func unknown() throws {
    let error = try #require(throws: APIError.self) { try parse(#""min_p": 0.1"#) }
    #expect(error.message == "Unrecognized request argument supplied: min_p")
    #expect(error.status == 400)
  }

  @Test("refuses what is no JSON object", arguments: ["", "{", "[]", "5", #"{"model": }"#])
  func wrongJSON(body: String) throws {
    let error = try #require(throws: APIError.self) { try CompletionRequest(json: body.utf8) }
    #expect(error.status == 400)
    #expect(error.message.contains("JSON"))
  }

  @Test("wants a model and a prompt")
  func required() throws {
    for (body, parameter) in [(#"{"prompt": "a"}"#, "model"), (#"{"model": "a"}"#, "prompt")] {
      let error = try #require(throws: APIError.self) { try CompletionRequest(json: body.utf8) }
      #expect(error.parameter == parameter)
    }
  }

  @Test("repeats no more than the beginning of a long wrong value")
  func longValue() throws {
    let text = String(repeating: "x", count: 5_000)
    let error = try #require(throws: APIError.self) { try parse(#""stop": ["\#(text)"]"#) }
    #expect(error.message.count < 400)
  }
}
