package import BatonRuntime
import ControlTransport
import EngineHost
import KVCore
package import Logging
import Platform
import ServiceLifecycle

/// One prefill engine: reads prompts into its pool and lends the blocks to decode engines.
package struct PrefillEngineService: Service {
  private let configuration: EngineConfiguration
  private let logger: Logger

  package init(configuration: EngineConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  /// Loads the model, then serves until graceful shutdown.
  package func run() async throws {
    let host = try EngineHost(configuration: configuration, logger: logger)
    let mailbox = Mailbox<PrefillCommand>()
    let addresses = configuration.advertise
    let links = LinkRegistry(host: host)
    let thread = try PlatformThread.start(name: "prefill") {
      PrefillLoop(host: host, mailbox: mailbox, links: links, ticketAddresses: addresses).run()
    }
    defer {
      mailbox.post(.stop)
      thread.join()
    }
    try await host.serve(handler: PrefillHandler(host: host, mailbox: mailbox, links: links)) {
      let deadline = ContinuousClock.now + .milliseconds(Limits.drainMilliseconds)
      await withCheckedContinuation { continuation in
        mailbox.post(.drain(until: deadline) { continuation.resume() })
      }
    }
  }
}
