import FoundationEssentials

extension CompletionRequest {
  /// The parameters of OpenAI's API that are read.
  private enum Parameter: String, CaseIterable {
    case model, prompt, temperature, seed, stop, stream, user
    case maximumTokens = "max_tokens"
    case streamOptions = "stream_options"
    case ignoresEndTokens = "ignore_eos"
    case returnsTokenIDs = "return_token_ids"
  }

  /// The parameters that are accepted with the one value that changes nothing.
  private static let neutralParameters: [String: JSONValue] = [
    "n": .number(1), "best_of": .number(1), "echo": .boolean(false), "logprobs": .null,
    "suffix": .null, "top_p": .number(1), "frequency_penalty": .number(0),
    "presence_penalty": .number(0), "logit_bias": .object([:]),
  ]

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Reads a request's body.
  ///
  /// Throws `APIError` with status 400 that names the parameter, the value, and what is allowed.
  package init(json body: some Sequence<UInt8>) throws(APIError) {
    do {
      self = try JSONDecoder().decode(Body.self, from: Data(body)).request
    } catch let error as APIError {
      throw error
    } catch {
      throw .invalidRequest("the body is not a JSON object")
    }
  }

  private struct Body: Decodable {
    let request: CompletionRequest

    init(from decoder: any Decoder) throws {
      let fields = Fields(container: try decoder.container(keyedBy: Key.self))
      for key in fields.container.allKeys.map(\.stringValue).sorted() {
        if let neutral = CompletionRequest.neutralParameters[key] {
          try fields.require(key, toBe: neutral)
        } else if Parameter(rawValue: key) == nil {
          throw APIError.invalidRequest(
            "Unrecognized request argument supplied: \(key.shortened)", parameter: key.shortened)
        }
      }
      var request = CompletionRequest(
        model: try fields.required(.model, as: String.self, allowed: "a model's name"),
        prompt: try fields.prompt())
      request.maximumTokens =
        try fields.value(.maximumTokens, as: Int.self, allowed: "a whole number from 1") {
          $0 >= 1
        }
      request.temperature =
        try fields.value(.temperature, as: Float.self, allowed: "a number from 0 to 2") {
          (0...2).contains($0)
        } ?? request.temperature
      request.seed = try fields.value(
        .seed, as: Int64.self, allowed: "a whole number from \(Int64.min) to \(Int64.max)"
      ).map { UInt64(bitPattern: $0) }
      request.stops = try fields.stops()
      request.streams = try fields.value(.stream, as: Bool.self, allowed: "true or false") ?? false
      request.includesUsage = try fields.includesUsage(streams: request.streams)
      request.ignoresEndTokens =
        try fields.value(.ignoresEndTokens, as: Bool.self, allowed: "true or false") ?? false
      request.returnsTokenIDs =
        try fields.value(.returnsTokenIDs, as: Bool.self, allowed: "true or false") ?? false
      _ = try fields.value(.user, as: String.self, allowed: "a text")
      self.request = request
    }
  }

  private struct Fields {
    let container: KeyedDecodingContainer<Key>

    /// The error for the value that `key` has.
    func wrong(_ key: String, allowed: String) -> APIError {
      do {
        let value = try container.decode(JSONValue.self, forKey: Key(stringValue: key))
        return .invalidRequest(
          "\(key): \(value) is not allowed; allowed is \(allowed)", parameter: key)
      } catch is JSONValue.InvalidText {
        return .invalidRequest(
          "\(key): the text is not valid Unicode; allowed are UTF-8 and escapes without a lone "
            + "surrogate", parameter: key)
      } catch {
        return .invalidRequest(
          "\(key): a value of this size is not allowed; allowed is \(allowed)", parameter: key)
      }
    }

    func require(_ key: String, toBe neutral: JSONValue) throws {
      let value = try container.decode(JSONValue.self, forKey: Key(stringValue: key))
      guard value == .null || value == neutral else { throw wrong(key, allowed: "\(neutral)") }
    }

    /// Nil where the parameter is absent or null.
    func value<Value: Decodable>(
      _ parameter: Parameter, as type: Value.Type, allowed: String,
      where isAllowed: (Value) -> Bool = { _ in true }
    ) throws -> Value? {
      let key = Key(stringValue: parameter.rawValue)
      guard container.contains(key), try !container.decodeNil(forKey: key) else { return nil }
      guard let value = try? container.decode(type, forKey: key), isAllowed(value) else {
        throw wrong(parameter.rawValue, allowed: allowed)
      }
      return value
    }

    func required<Value: Decodable>(
      _ parameter: Parameter, as type: Value.Type, allowed: String
    ) throws -> Value {
      guard let value = try value(parameter, as: type, allowed: allowed) else {
        throw APIError.invalidRequest(
          "you must provide a \(parameter.rawValue) parameter", parameter: parameter.rawValue)
      }
      return value
    }

    func prompt() throws -> Prompt {
      switch try required(.prompt, as: PromptValue.self, allowed: PromptValue.allowed) {
      case .text(let text): return .text(text)
      case .tokens(let tokens): return .tokens(tokens)
      case .texts(let texts) where texts.count == 1: return .text(texts[0])
      case .tokenLists(let lists) where lists.count == 1: return .tokens(lists[0])
      case .texts(let texts): throw several(texts.count)
      case .tokenLists(let lists): throw several(lists.count)
      }
    }

    private func several(_ count: Int) -> APIError {
      .invalidRequest(
        "prompt: \(count) prompts in one request are not allowed; allowed is one",
        parameter: Parameter.prompt.rawValue)
    }

    func stops() throws -> [String] {
      let most = EdgeLimits.maximumStopStrings
      let allowed =
        "a text, or a list of up to \(most) texts, each of 1 to "
        + "\(EdgeLimits.maximumStopStringBytes) bytes"
      let stops = try value(.stop, as: StopValue.self, allowed: allowed) { stops in
        stops.texts.count <= most
          && stops.texts.allSatisfy {
            (1...EdgeLimits.maximumStopStringBytes).contains($0.utf8.count)
          }
      }
      return stops?.texts ?? []
    }

    func includesUsage(streams: Bool) throws -> Bool {
      let allowed = "{\"include_usage\": true or false}, with stream true"
      let options = try value(
        .streamOptions, as: [String: Bool].self, allowed: allowed
      ) { options in
        streams && options.keys.allSatisfy { $0 == "include_usage" }
      }
      return options?["include_usage"] ?? false
    }
  }

  private enum PromptValue: Decodable {
    case text(String)
    case tokens([Int])
    case texts([String])
    case tokenLists([[Int]])

    static let allowed = "a text, a list of token ids, or a list of one of these"

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        self = .text(text)
      } else if let tokens = try? container.decode([Int].self) {
        self = .tokens(tokens)
      } else if let texts = try? container.decode([String].self) {
        self = .texts(texts)
      } else {
        self = .tokenLists(try container.decode([[Int]].self))
      }
    }
  }

  private struct StopValue: Decodable {
    let texts: [String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        texts = [text]
      } else {
        texts = try container.decode([String].self)
      }
    }
  }
}
