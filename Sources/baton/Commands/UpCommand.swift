package import ArgumentParser
package import BatonRuntime
import Foundation
import KVCore
import Logging

package struct UpCommand: SettingsCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Starts a whole fleet on this machine, each service as a process of its own.",
    discussion: """
      baton up
      baton up --prefill 2 --decode 2 --handoff copy --model /models/TinyLlama-1.1B
      baton up --prefill 0 --decode 0 --hybrid 1 --port 9000

      All log lines come on standard error, prefixed with the process that wrote them. A process \
      that dies is started again. Ctrl-C stops all of them.
      """)
  package static let command = BatonCommand.up

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var prefill: PrefillOptions
  @OptionGroup var lending: LendingOptions
  @OptionGroup var decode: DecodeOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var edge: EdgeOptions
  @OptionGroup var common: CommonOptions

  package init() {}

  package var given: GivenSettings {
    fleet.given + model.given + prefill.given + lending.given + decode.given + transport.given
      + edge.given + common.given
  }

  package func run() async throws {
    let up = try configuration { settings throws(BatonError) in
      try UpConfiguration(
        settings: settings, cores: ProcessInfo.processInfo.activeProcessorCount)
    }
    let tag = Hexadecimal.string(UInt64.random(in: 0...UInt64.max))
    let plan = FleetPlan(configuration: up, tag: tag)
    let output = FleetOutput(names: plan.processes.map(\.name) + [FleetOutput.ownName])
    let logger = output.makeLogger(level: up.logLevel)
    do {
      // Stopped in reverse: the proxy lets its answers come to their end while engines are there.
      let supervisors = [plan.engines, [plan.proxy]].map { processes in
        FleetSupervisor(processes: processes, output: output, logger: logger)
      }
      try await ServiceRunner.run(
        supervisors, shutdownTime: FleetSupervisor.killTime * supervisors.count + .seconds(3),
        logger: logger)
    } catch let error as BatonError {
      logger.critical("stopped", metadata: ["cause": "\(error.message)"])
      throw ExitCode(ExitStatus(endedBy: error).rawValue)
    }
  }
}
