import ArgumentParser
import BatonRuntime
package import KVCore
import Logging

/// A command that starts one engine.
package protocol EngineCommand: SettingsCommand {
  static var role: Role { get }
}

extension EngineCommand {
  package func run() async throws {
    let (engine, level) = try configuration { settings throws(BatonError) in
      (
        try EngineConfiguration(role: Self.role, settings: settings),
        try settings.value(of: Settings.logLevel)
      )
    }
    try await ServiceProcess.run(component: engine.name, level: level) { logger in
      try await ServiceFactory.services(of: engine, logger: logger)
    }
  }
}
