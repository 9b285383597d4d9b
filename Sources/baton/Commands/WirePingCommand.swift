package import ArgumentParser
package import BatonRuntime
import ControlProtocol
import ControlTransport
import Foundation
import KVCore

package struct WirePingCommand: SettingsCommand {
  package static let configuration = CommandConfiguration(
    commandName: "ping",
    abstract: "Connects to a service and shows what it says of itself.",
    discussion: """
      baton wire ping unix:@baton-8000
      baton wire ping 10.0.0.5:8101 --cluster-key-file key --count 10

      Goes through the handshake, with the proof of the cluster key where there is one, then sends \
      pings, and says how long each step took.
      """)
  package static let command = BatonCommand.ping

  @Argument(help: "HOST:PORT, unix:/PATH or unix:@NAME of a control port.") var address: String?
  @Option(help: "Pings to send, 1 to 1000.") var count = 3
  @OptionGroup var client: ClientOptions

  package init() {}

  package var given: GivenSettings { client.given }

  package func validate() throws {
    guard (1...1_000).contains(count) else {
      throw ValidationError("--count: \(count) is not allowed; allowed is 1 to 1000")
    }
  }

  package func run() async throws {
    let text = address
    let (address, identity) = try configuration {
      (settings) throws(BatonError) -> (ControlAddress, LocalIdentity) in
      guard let text else {
        throw BatonError(.invalidArgument, "no address is given, for example unix:@baton-8000")
      }
      return (try ControlAddress(text), try ClientIdentity.make(settings: settings))
    }
    try await ClientIdentity.reportingErrors {
      let connection = try await ClientIdentity.connect(to: [address], as: identity)
      defer { connection.close() }
      print(Self.description(of: connection))
      var before = Duration.zero
      for step in connection.handshakeSteps {
        print("\(step.name) after \(Self.microseconds(step.time - before))")
        before = step.time
      }
      for number in 1...count {
        let sent = ContinuousClock.now
        try await connection.ping(within: .seconds(5))
        print("pong \(number) in \(Self.microseconds(ContinuousClock.now - sent))")
      }
    }
  }

  private static func microseconds(_ duration: Duration) -> String {
    "\(duration.wholeMicroseconds) us"
  }

  private static func description(of connection: ControlConnection) -> String {
    let (hello, info) = (connection.remote, connection.remoteInfo)
    var lines = [
      "engine       \(hello.engine)",
      "role         \(hello.role)",
      "incarnation  \(hello.incarnation)",
      "versions     \(hello.versions.map(String.init).joined(separator: ", "))",
      "features     \(hello.features.isEmpty ? "none" : hello.features.joined(separator: ", "))",
      "process      \(info.processID), boot id \(info.bootID)",
      "addresses    \(info.addresses.isEmpty ? "none" : info.addresses.joined(separator: ", "))",
    ]
    if let model = info.model {
      lines += [
        "model        \(model.name) (\(model.shortFingerprint)), \(model.contextTokens) tokens",
        "geometry     \(model.geometry)",
        "pool         \(model.poolBlocks) blocks",
      ]
    }
    return lines.joined(separator: "\n")
  }
}
