package import Logging
package import ServiceLifecycle
import UnixSignals

/// Runs the services of one process.
package enum ServiceRunner {
  /// How long the services of an engine or a proxy may take to finish what they do.
  package static let shutdownTime = Duration.seconds(4)

  /// Returns when SIGTERM or SIGINT has come and all services have stopped, in the reverse order
  /// of `services`.
  ///
  /// - Parameter shutdownTime: after this long services are cancelled.
  ///
  /// Throws what the first failing service throws, after stopping the others.
  package static func run(
    _ services: [any Service], shutdownTime: Duration = shutdownTime, logger: Logger
  ) async throws {
    var configuration = ServiceGroupConfiguration(
      services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    configuration.maximumGracefulShutdownDuration = shutdownTime
    try await ServiceGroup(configuration: configuration).run()
  }
}
