package import ArgumentParser
package import BatonRuntime
package import KVCore

package struct DecodeCommand: EngineCommand {
  package static let configuration = CommandConfiguration(
    commandName: command.rawValue,
    abstract: "Starts an engine that takes KV caches over from prefill engines and writes answers.",
    discussion: """
      baton decode --listen 127.0.0.1:8102 --model /models/TinyLlama-1.1B
      baton decode --listen unix:@decode --handoff copy --kv-blocks 16384
      """)
  package static let command = BatonCommand.decode
  package static let role = Role.decode

  @OptionGroup var engine: EngineOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var decode: DecodeOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var common: CommonOptions

  package init() {}

  package var given: GivenSettings {
    engine.given + model.given + decode.given + transport.given + device.given
      + common.given
  }
}
