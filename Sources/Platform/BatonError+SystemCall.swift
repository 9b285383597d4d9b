import CLinux
import Glibc
package import KVCore

extension BatonError {
  /// The error of a system call that failed.
  ///
  /// - Parameters:
  ///   - error: the errno, positive.
  ///   - call: what was called, for example `mmap`.
  ///   - subject: what it was done to, for people.
  package init(errno error: CInt, call: String, subject: String) {
    let code: ErrorCode =
      switch error {
      case ENOMEM, ENOSPC, EMFILE, ENFILE, ENOBUFS: .resourceExhausted
      case EAGAIN, ETIMEDOUT: .deadlineExceeded
      case ECONNREFUSED, ECONNRESET, EPIPE, ENOENT: .peerGone
      // A peer's message that is longer than it may be, or has more descriptors.
      case EMSGSIZE: .protocolViolation
      case ENAMETOOLONG: .invalidArgument
      case EADDRNOTAVAIL, EADDRINUSE, ENETUNREACH, EHOSTUNREACH: .unavailable
      default: .internalError
      }
    let text = unsafe String(cString: clinux_error_text(error))
    self.init(code, "\(call) of \(subject): \(text) (errno \(error))")
  }
}

/// Turns the negative errno of a `clinux_` function into an error, and passes other results on.
func check<Result: SignedInteger>(
  _ result: Result, _ call: String, _ subject: @autoclosure () -> String
) throws(BatonError) -> Result {
  guard result >= 0 else {
    throw BatonError(errno: CInt(-result), call: call, subject: subject())
  }
  return result
}
