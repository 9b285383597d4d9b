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
}
