import CVerbs
import Glibc
package import KVCore

extension BatonError {
  /// The error of a verb that failed.
  ///
  /// - Parameters:
  ///   - error: the errno, positive.
  ///   - verb: what was called, for example `ibv_create_qp`.
  ///   - subject: what it was done to, for people.
  init(verb: String, subject: String, errno error: CInt) {
    let text = unsafe String(cString: strerror(error))
    self.init(.deviceError, "\(verb) of \(subject): \(text) (errno \(error))")
  }

  /// What became of a work request that did not succeed (enum ibv_wc_status).
  package init(completion status: CInt, subject: String) {
    let text = unsafe String(cString: ibv_wc_status_str(ibv_wc_status(UInt32(status))))
    self.init(.deviceError, "RDMA READ of \(subject): \(text) (status \(status))")
  }
}

/// Turns the negative errno of a `cverbs_` function into an error.
func check(
  _ result: CInt, _ verb: String, _ subject: @autoclosure () -> String
) throws(BatonError) {
  guard result >= 0 else { throw BatonError(verb: verb, subject: subject(), errno: -result) }
}
