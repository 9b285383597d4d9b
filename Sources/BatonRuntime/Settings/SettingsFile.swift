import Configuration
import FoundationEssentials
import KVCore

/// A JSON object whose keys are the names of settings.
struct SettingsFile {
  /// A value as it is written in the file.
  private enum FileValue: Decodable {
    case text(String)
    case list([String])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let list = try? container.decode([String].self) {
        self = .list(list)
      } else if let text = try? container.decode(String.self) {
        self = .text(text)
      } else if let flag = try? container.decode(Bool.self) {
        self = .text("\(flag)")
      } else if let number = try? container.decode(Int.self) {
        self = .text("\(number)")
      } else {
        self = .text("\(try container.decode(Double.self))")
      }
    }

    var text: String {
      switch self {
      case .text(let text): text
      case .list(let list): list.joined(separator: ",")
      }
    }
  }

  let provider: InMemoryProvider

  /// Reads `path`. Keys of any command are allowed, so that one file serves a whole fleet.
  ///
  /// Throws `BatonError` with `invalidArgument` for a file that cannot be read, is not an object
  /// of texts, numbers and lists of texts, or has a key that is no setting's name.
  init(path: String) throws(BatonError) {
    let values: [String: FileValue]
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      values = try JSONDecoder().decode([String: FileValue].self, from: data)
    } catch {
      throw BatonError(
        .invalidArgument, "\(Settings.config.flag): \"\(path)\" \(Self.fault(behind: error))")
    }
    let names = Settings.all.map(\.name).filter { $0 != Settings.config.name }
    for key in values.keys.sorted() where !names.contains(key) {
      throw BatonError(
        .invalidArgument,
        "\(path): there is no setting \"\(key)\"; \(EditDistance.hint(for: key, among: names))")
    }
    provider = InMemoryProvider(
      name: path,
      values: Dictionary(
        uniqueKeysWithValues: values.map { key, value in
          (AbsoluteConfigKey([key]), ConfigValue(.string(value.text), isSecret: false))
        }))
  }

  /// What is wrong with a file, as the end of a sentence.
  private static func fault(behind error: any Error) -> String {
    switch error {
    case let error as CocoaError where error.code == .fileReadNoSuchFile:
      "does not exist"
    case let error as CocoaError where error.code == .fileReadNoPermission:
      "may not be read by this user"
    case DecodingError.dataCorrupted:
      "is not valid JSON"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      if let key = context.codingPath.first?.stringValue {
        "has a value for \"\(key)\" that is neither a text, a number nor a list of texts"
      } else {
        "is not a JSON object of settings"
      }
    default:
      "cannot be read as a file"
    }
  }
}
