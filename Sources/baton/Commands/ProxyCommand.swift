package import ArgumentParser
package import BatonRuntime
import KVCore
import Logging

package struct ProxyCommand: SettingsCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Starts the service that clients talk to, in front of the engines.",
    discussion: """
      baton proxy --prefill-address 127.0.0.1:8101 --decode-address 127.0.0.1:8102
      baton proxy --hybrid-address 127.0.0.1:8103,127.0.0.1:8104 --host 0.0.0.0 --port 9000

      Clients find POST /v1/completions, GET /v1/models, /health, /readiness and /metrics.
      """)
  package static let command = BatonCommand.proxy

  @OptionGroup var addresses: AddressOptions
  @OptionGroup var edge: EdgeOptions
  @OptionGroup var common: CommonOptions

  package init() {}

  package var given: GivenSettings { addresses.given + edge.given + common.given }

  package func run() async throws {
    let (proxy, level) = try configuration { settings throws(BatonError) in
      (try ProxyConfiguration(settings: settings), try settings.value(of: Settings.logLevel))
    }
    try await ServiceProcess.run(component: proxy.name, level: level) { logger in
      try await ServiceFactory.services(of: proxy, logger: logger)
    }
  }
}
