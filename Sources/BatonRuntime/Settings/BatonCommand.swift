package import KVCore

/// The subcommands of `baton` that take settings.
package enum BatonCommand: String, Sendable, CaseIterable, CustomStringConvertible {
  case prefill
  case decode
  case hybrid
  case proxy
  case up
  case generate
  case ping = "wire ping"

  package static let engines: Set<BatonCommand> = [.prefill, .decode, .hybrid]
  /// Those that start something which stays.
  package static let services = engines.union([.proxy, .up])
  package static let all = Set(BatonCommand.allCases)

  /// What the process that the command starts does in the fleet; `up` only starts others.
  package var role: Role? {
    switch self {
    case .prefill: .prefill
    case .decode: .decode
    case .hybrid: .hybrid
    case .proxy: .proxy
    case .generate, .ping: .client
    case .up: nil
    }
  }

  package var description: String { rawValue }
}
