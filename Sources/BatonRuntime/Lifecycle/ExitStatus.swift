package import KVCore

/// The exit statuses of Baton's processes; the numbers are those of sysexits.h.
package enum ExitStatus: Int32, Sendable {
  case failure = 1
  /// EX_USAGE: the command line, a variable or the file of settings is wrong.
  case usage = 64
  /// EX_CONFIG: the settings are well-formed, but cannot be had on this machine or in this fleet.
  case configuration = 78

  /// The status of a process whose services ended with `error`.
  package init(endedBy error: BatonError) {
    switch error.code {
    case .invalidArgument, .incompatible: self = .configuration
    default: self = .failure
    }
  }
}
