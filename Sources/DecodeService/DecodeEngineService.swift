package import BatonRuntime
import ControlTransport
import EngineHost
import KVCore
package import Logging
import Platform
import ServiceLifecycle

/// One decode engine, which takes sequences over from prefill engines, or one hybrid engine, which
/// reads their prompts itself; they differ in which requests they answer.
package struct DecodeEngineService: Service {
  private let configuration: EngineConfiguration
  private let logger: Logger

  package init(configuration: EngineConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  /// Loads the model, then serves until graceful shutdown.
  package func run() async throws {
    let host = try EngineHost(configuration: configuration, logger: logger)
    let mailbox = Mailbox<DecodeCommand>()
    let leases = LeaseKeeper(logger: logger)
    let copier = try WorkerThread(name: "copy")
    let thread = try PlatformThread.start(name: "decode") {
      DecodeLoop(host: host, leases: leases, copier: copier, mailbox: mailbox).run()
    }
    defer {
      mailbox.post(.stop)
      thread.join()
    }
    let links = LinkTable(
      host: host, identity: host.identity(addresses: configuration.advertise),
      handler: LinkHandler(leases: leases, mailbox: mailbox), copier: copier, leases: leases)
    let handover = Handover(host: host, links: links, leases: leases)
    let handler = DecodeHandler(host: host, links: links, handover: handover, mailbox: mailbox)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await leases.run() }
      try await host.serve(handler: handler)
      group.cancelAll()
    }
  }
}
