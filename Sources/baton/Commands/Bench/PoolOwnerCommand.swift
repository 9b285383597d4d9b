package import ArgumentParser
import Benchmarks

/// The second process of `baton bench migrate`.
package struct PoolOwnerCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: PoolOwner.commandName, shouldDisplay: false)

  package init() {}

  package func run() throws { try PoolOwner.run() }
}
