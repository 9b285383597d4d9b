package import ArgumentParser

/// What people use to look at the control protocol.
package struct WireCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "wire", abstract: "Looks at the control protocol.",
    subcommands: [WireDecodeCommand.self, WirePingCommand.self])

  package init() {}
}
