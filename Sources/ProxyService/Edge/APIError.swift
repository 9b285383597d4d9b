package import KVCore

/// An error as OpenAI's clients expect it: a status and `{"error": {...}}`.
package struct APIError: Error, Hashable, Sendable {
  package var status: Int
  package var message: String
  /// OpenAI's class of errors, for example `invalid_request_error`.
  package var type: String
  /// The parameter that was wrong.
  package var parameter: String?
  /// For programs, for example `model_not_found`.
  package var code: String?
  package var retryAfterSeconds: Int?
  /// The methods that the path takes, for status 405.
  package var allowedMethods: [String] = []

  package init(
    status: Int, message: String, type: String, parameter: String? = nil, code: String? = nil,
    retryAfterSeconds: Int? = nil
  ) {
    self.status = status
    self.message = message
    self.type = type
    self.parameter = parameter
    self.code = code
    self.retryAfterSeconds = retryAfterSeconds
  }

  /// A request that is wrong as it stands: status 400.
  package static func invalidRequest(
    _ message: String, parameter: String? = nil, code: String? = nil
  ) -> APIError {
    APIError(
      status: 400, message: message, type: "invalid_request_error", parameter: parameter,
      code: code)
  }

  /// The edge serves as many completions as it may.
  package static func tooManyRequests(limit: Int) -> APIError {
    APIError(
      status: 429, message: "\(limit) completions are in progress, which is the limit; try again",
      type: "rate_limit_error", code: "rate_limit_exceeded",
      retryAfterSeconds: EdgeLimits.retryAfterSeconds)
  }

  /// No model of this name is served; `models` are.
  static func unknownModel(_ name: String, models: [ServedModel]) -> APIError {
    let served = models.map(\.name.quoted).joined(separator: " or ")
    return APIError(
      status: 404, message: "model: \(name.quoted) is not served; served is \(served)",
      type: "invalid_request_error", parameter: "model", code: "model_not_found")
  }

  /// What went wrong behind the edge, with the status that tells the client whose turn it is, and
  /// when to come back where that may help.
  package init(_ error: BatonError) {
    if error.code == .invalidArgument {
      self = .invalidRequest(error.message)
      return
    }
    let status = error.code == .deadlineExceeded ? 504 : error.isRetryable ? 503 : 500
    let seconds = error.retryAfterMilliseconds.map { (Int($0) + 999) / 1_000 }
    self.init(
      status: status, message: error.message, type: "server_error",
      code: error.code.description.lowercased(),
      retryAfterSeconds: error.isRetryable ? seconds ?? EdgeLimits.retryAfterSeconds : nil)
  }

  /// How metrics count a request that ended with this error.
  var outcome: RequestOutcome {
    switch status {
    case 429: .overloaded
    case 503 where code == ErrorCode.resourceExhausted.description.lowercased(): .overloaded
    case 400..<500: .clientError
    default: .error
    }
  }
}
