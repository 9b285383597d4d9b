import ControlTransport

/// The shape of a control port's address, checked before anything is started with it.
package enum AddressSyntax {
  /// What `ControlAddress` reads, with a port that others can be told of: 0 is none.
  package static func isControlAddress(_ text: String) -> Bool {
    switch try? ControlAddress(text) {
    case .tcp(_, let port): port > 0
    case .unix: true
    case nil: false
    }
  }

  /// Whether an address stands for all of the machine's, so that nobody can connect to it.
  static func isWildcard(_ text: String) -> Bool {
    guard case .tcp(let host, _)? = try? ControlAddress(text) else { return false }
    return host == "0.0.0.0" || host == "::"
  }
}
