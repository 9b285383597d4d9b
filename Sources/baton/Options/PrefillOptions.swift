import ArgumentParser
import BatonRuntime

/// What engines that read prompts need.
struct PrefillOptions: SettingOptions {
  @Option(Settings.prefillChunk) var prefillChunk: String?

  var given: GivenSettings { givenSettings((Settings.prefillChunk, prefillChunk.texts)) }
}
