package import ArgumentParser

package struct BenchCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures parts of Baton beside what this machine can do at best.",
    discussion: """
      baton bench migrate --mode borrow --tokens 2048
      baton bench wire
      baton bench metadata
      """,
    subcommands: [
      MigrateBenchCommand.self, WireBenchCommand.self, MetadataBenchCommand.self,
      PoolOwnerCommand.self, WirePeerCommand.self,
    ])

  package init() {}
}
