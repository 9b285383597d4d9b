package import ArgumentParser
package import BatonRuntime
package import KVCore

package struct HybridCommand: EngineCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Starts an engine that both reads prompts and writes answers.",
    discussion: """
      baton hybrid --listen 127.0.0.1:8103 --model /models/TinyLlama-1.1B
      """)
  package static let command = BatonCommand.hybrid
  package static let role = Role.hybrid

  @OptionGroup var engine: EngineOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var prefill: PrefillOptions
  @OptionGroup var common: CommonOptions

  package init() {}

  package var given: GivenSettings { engine.given + model.given + prefill.given + common.given }
}
