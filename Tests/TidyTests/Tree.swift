import Foundation

/// The files of this repository.
enum Tree {
  struct File {
    /// From the repository's root.
    let path: String
    let text: String
  }

  static let root: String = {
    // .../Tests/TidyTests/Tree.swift
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
  }()

  /// Sources, tests and tools that people write; generated code is left out.
  static func sources(extensions: Set<String>) throws -> [File] {
    var files: [File] = []
    for folder in ["Sources", "Tests", "Tools"] {
      let paths = try FileManager.default.subpathsOfDirectory(atPath: root + "/" + folder)
      for path in paths where extensions.contains((path as NSString).pathExtension) {
        let whole = folder + "/" + path
        if whole.contains(".pb-c.") { continue }
        files.append(
          File(path: whole, text: try String(contentsOfFile: root + "/" + whole, encoding: .utf8)))
      }
    }
    return files
  }
}
