package import ArgumentParser
import Benchmarks

/// The second process of `baton bench migrate`.
package struct PoolOwnerCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: PoolOwner.commandName, shouldDisplay: false)

  package init() {}

  package func run() async throws { try await PoolOwner.run() }
}
