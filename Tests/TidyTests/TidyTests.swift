import Foundation
import Testing

/// What STYLE asks of the tree and a machine can check.
@Suite("Tidy")
struct TidyTests {
  @Test("Only the agreed files and folders lie at the top level")
  func topLevel() throws {
    let allowed: Set = [
      "Package.swift", "Package.resolved", "Sources", "Tests", "Protocols", "Tools", "README.md",
    ]
    let names = try FileManager.default.contentsOfDirectory(atPath: Tree.root)
    #expect(names.filter { !$0.hasPrefix(".") && !allowed.contains($0) } == [])
  }

  @Test("No line is longer than 100 columns and no file longer than 400 lines")
  func sizes() throws {
    for file in try Tree.sources(extensions: ["swift", "c", "h", "py"]) {
      let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 401, "\(file.path) has \(lines.count - 1) lines")
      for (index, line) in lines.enumerated() where line.count > 100 {
        Issue.record("\(file.path):\(index + 1) is \(line.count) columns wide")
      }
    }
  }

  @Test("No function is longer than 70 lines")
  func functions() throws {
    for file in try Tree.sources(extensions: ["swift"]) {
      for function in FunctionScanner.functions(of: file.text) where function.lineCount > 70 {
        Issue.record("\(file.path):\(function.line) is a function of \(function.lineCount) lines")
      }
    }
  }

  @Test("Escapes from the type system say in a SAFETY line why they hold")
  func safetyLines() throws {
    let escapes = ["@unchecked " + "Sendable", "nonisolated" + "(unsafe)", "try" + "!"]
    for file in try Tree.sources(extensions: ["swift"]) {
      let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
      for (index, line) in lines.enumerated() where escapes.contains(where: line.contains) {
        let reason = lines[max(0, index - 4)...min(index + 2, lines.count - 1)].contains {
          $0.contains("SAFETY:")
        }
        #expect(reason, "\(file.path):\(index + 1): \(line)")
      }
    }
  }

  @Test("Nothing marks itself as unfinished, and no test waits by the clock")
  func unfinished() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "not " + "implemented", "place" + "holder"]
    let sleeps = ["Task." + "sleep", "u" + "sleep(", "Thread." + "sleep"]
    for file in try Tree.sources(extensions: ["swift", "c", "h", "py"]) {
      let isTest = file.path.hasPrefix("Tests/")
      for (index, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false)
        .enumerated()
      {
        for mark in marks + (isTest ? sleeps : []) where line.contains(mark) {
          Issue.record("\(file.path):\(index + 1) holds \"\(mark)\"")
        }
      }
    }
  }

  @Test("Pointers and C imports live only where they are allowed")
  func unsafeCode() throws {
    // STYLE 4; `Inference` is narrowed to its kernels by its own folder names.
    let allowed = ["Platform", "KVPool", "Verbs", "Migration", "ControlWire", "Inference"]
    let cModules = ["CLinux", "CVerbs", "CBatonWire", "CKernels", "Glibc"]
    for file in try Tree.sources(extensions: ["swift"]) where file.path.hasPrefix("Sources/") {
      let target = file.path.split(separator: "/")[1]
      guard !allowed.contains(String(target)) else { continue }
      for line in file.text.split(separator: "\n") {
        let words = line.split(separator: " ")
        let isComment = line.drop { $0 == " " }.hasPrefix("//")
        if !isComment, words.contains("unsafe") {
          Issue.record("\(file.path) has unsafe code: \(line)")
        }
        if words.first == "import", let module = words.last, cModules.contains(String(module)) {
          Issue.record("\(file.path) imports \(module)")
        }
      }
    }
  }

  @Test("The architecture page names every target")
  func architecturePage() throws {
    let page = try String(contentsOfFile: Tree.root + "/Sources/README.md", encoding: .utf8)
    let targets = try FileManager.default.contentsOfDirectory(atPath: Tree.root + "/Sources")
    for target in targets where target != "README.md" {
      #expect(page.contains("`\(target)`"), "Sources/README.md does not name \(target)")
    }
  }
}
