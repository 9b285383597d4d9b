import NIOCore
import NIOPosix
import SystemPackage

/// What the system said of a socket, in its own words (strerror(3)) and without NIO's.
enum SystemReason {
  static func text(of error: any Error) -> String {
    switch error {
    case let error as IOError:
      Errno(rawValue: error.errnoCode).description
    case let error as NIOConnectionError:
      error.connectionErrors.last.map { text(of: $0.error) } ?? "the name is not known"
    default:
      "\(error)"
    }
  }
}
