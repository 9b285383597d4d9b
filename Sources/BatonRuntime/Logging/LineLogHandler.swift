package import FoundationEssentials
package import Logging

/// Writes one line per event: ISO 8601 time, level, component, message, then `key=value` pairs.
package struct LineLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level
  package var metadataProvider: Logger.MetadataProvider?
  private let component: String?
  private let write: @Sendable (String) -> Void

  /// - Parameters:
  ///   - component: names the process in each line; nil under a supervisor, which prefixes them.
  ///   - write: takes one line, which ends with a line feed.
  package init(
    component: String?, level: Logger.Level, write: @escaping @Sendable (String) -> Void
  ) {
    self.component = component
    self.logLevel = level
    self.write = write
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
    if let given = event.metadata { all.merge(given) { $1 } }
    write(
      Self.line(
        time: Date(), level: event.level, component: component,
        message: event.message.description, metadata: all))
  }

  /// One event as one line, whatever line feeds its texts have; pairs come sorted by key.
  package static func line(
    time: Date, level: Logger.Level, component: String?, message: String,
    metadata: Logger.Metadata
  ) -> String {
    var line = time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    line += " " + level.rawValue
    if let component { line += " " + component }
    line += " " + escaped(message)
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let text = escaped("\(value)")
      let needsQuotes = text.isEmpty || text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
      line += " \(key)="
      line += needsQuotes ? "\"" + text.replacing("\"", with: "\\\"") + "\"" : text
    }
    return line + "\n"
  }

  /// Without what moves a terminal's cursor, or ends a line for anybody who reads the log: the
  /// controls of C0 and C1 (ISO 6429), and Unicode's line and paragraph separators.
  private static func escaped(_ text: String) -> String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
      scalar.properties.generalCategory == .control || (0x2028...0x2029).contains(scalar.value)
    }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": escaped += "\\n"
      case "\r": escaped += "\\r"
      case "\t": escaped += "\\t"
      case _ where isControl(scalar): escaped += "\\u{\(String(scalar.value, radix: 16))}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
