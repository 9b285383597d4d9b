/// How a completion ended: the values of the label `outcome` of `baton_requests_total`.
enum RequestOutcome: String, CaseIterable, Sendable {
  case ok
  /// The client went away.
  case cancelled
  case clientError = "client_error"
  case overloaded
  case error
}
