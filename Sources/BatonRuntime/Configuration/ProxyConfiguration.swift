package import KVCore

/// What the proxy process needs to know.
package struct ProxyConfiguration: Hashable, Sendable {
  package var name: EngineID
  package var control: ControlConfiguration
  package var host: String
  /// 0 takes a free port.
  package var port: Int
  /// On which clients of the protocol are served, in the syntax of `AddressSyntax`.
  package var controlAddresses: [String]
  /// Control addresses of the engines by role, in the syntax of `AddressSyntax`.
  package var prefill: [String]
  package var decode: [String]
  package var hybrid: [String]
  /// Nil for the name that the engines give.
  package var servedModelName: String?
  /// Completions in progress at once.
  package var maxConcurrent: Int
  package var requestTimeoutSeconds: Int

  /// Throws `BatonError` with `invalidArgument` for a setting that is given a wrong value, and
  /// when the addresses make up neither a pair nor a hybrid engine.
  package init(settings: SettingsResolver) throws(BatonError) {
    control = try ControlConfiguration(settings: settings)
    name = try settings.value(of: Settings.name) ?? .ofThisProcess(role: .proxy)
    host = try settings.value(of: Settings.host)
    port = try settings.value(of: Settings.port)
    controlAddresses = try ControlConfiguration.proxyAddresses(settings: settings, port: port)
    prefill = try settings.value(of: Settings.prefillAddress)
    decode = try settings.value(of: Settings.decodeAddress)
    hybrid = try settings.value(of: Settings.hybridAddress)
    servedModelName = try settings.value(of: Settings.servedModelName)
    maxConcurrent = try settings.value(of: Settings.maxConcurrent)
    requestTimeoutSeconds = try settings.value(of: Settings.requestTimeout)
    guard !hybrid.isEmpty || (!prefill.isEmpty && !decode.isEmpty) else {
      throw BatonError(
        .invalidArgument,
        "nothing can answer: give \(Settings.prefillAddress.flag) and "
          + "\(Settings.decodeAddress.flag), or \(Settings.hybridAddress.flag)")
    }
  }
}
