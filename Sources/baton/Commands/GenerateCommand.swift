package import ArgumentParser
package import BatonRuntime
import ControlProtocol
import ControlTransport
import Foundation
import KVCore

package struct GenerateCommand: SettingsCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Completes a text, over the protocol that Baton's services speak.",
    discussion: """
      baton generate "Once upon a time"
      baton generate --max-tokens 200 --temperature 0 --port 9000 "Once upon a time"
      cat prompt.txt | baton generate --control-address 10.0.0.5:8200 --cluster-key-file key

      Asks the proxy of a fleet on this machine unless --control-address says otherwise. The text \
      comes on standard output as it is written; the prompt is standard input where none is given.
      """)
  package static let command = BatonCommand.generate

  @Argument(help: "The text to complete.") var prompt: String?
  @Option(help: "Tokens of the answer at most. Default: 16.") var maxTokens: UInt32?
  @Option(help: "0 takes the most probable token each time; at most 2.")
  var temperature: Float = 1
  @Option(help: "The same seed gives the same answer. Default: drawn.") var seed: UInt64?
  @Option(parsing: .singleValue, help: "End before this text; up to four may be given.")
  var stop: [String] = []
  @Option(help: "Seconds that the answer may take.") var timeout: UInt32 = 600
  @OptionGroup var proxy: ProxyAddressOptions
  @OptionGroup var client: ClientOptions

  package init() {}

  package var given: GivenSettings { proxy.given + client.given }

  package func run() async throws {
    let (addresses, identity) = try configuration { settings throws(BatonError) in
      let port = try settings.value(of: Settings.port)
      return (
        try ControlConfiguration.proxyAddresses(settings: settings, port: port)
          .map { text throws(BatonError) in try ControlAddress(text) },
        try ClientIdentity.make(settings: settings)
      )
    }
    try await ClientIdentity.reportingErrors {
      let request = TextRequest(
        model: "", prompt: try prompt ?? Self.standardInput(), maximumTokens: maxTokens,
        temperature: temperature, seed: seed, stops: stop, ignoresEndTokens: false)
      let connection = try await ClientIdentity.connect(to: addresses, as: identity)
      defer { connection.close() }
      let answers = try connection.stream(.textRequest(request), within: .seconds(timeout))
      var isComplete = false
      for try await message in answers {
        guard case .textChunk(let chunk) = message else { continue }
        try FileHandle.standardOutput.write(contentsOf: Data(chunk.text.utf8))
        isComplete = chunk.ending != nil
      }
      guard isComplete else {
        throw BatonError(.protocolViolation, "the proxy ended the answer too early")
      }
      try FileHandle.standardOutput.write(contentsOf: Data("\n".utf8))
    }
  }

  private static func standardInput() throws -> String {
    let bytes = try FileHandle.standardInput.readToEnd() ?? Data()
    guard let text = String(data: bytes, encoding: .utf8) else {
      throw BatonError(.invalidArgument, "standard input is not UTF-8")
    }
    return text
  }
}
