package import ArgumentParser
package import BatonRuntime
package import KVCore

package struct PrefillCommand: EngineCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Starts an engine that reads prompts and hands their KV caches to decode engines.",
    discussion: """
      baton prefill --listen 127.0.0.1:8101 --model /models/TinyLlama-1.1B
      BATON_KV_DTYPE=f32 baton prefill --listen unix:@prefill,127.0.0.1:8101 --name prefill-a
      """)
  package static let command = BatonCommand.prefill
  package static let role = Role.prefill

  @OptionGroup var engine: EngineOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var prefill: PrefillOptions
  @OptionGroup var lending: LendingOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var serving: ServingOptions
  @OptionGroup var common: CommonOptions

  package init() {}

  package var given: GivenSettings {
    engine.given + model.given + prefill.given + lending.given + transport.given + device.given
      + serving.given + common.given
  }
}
