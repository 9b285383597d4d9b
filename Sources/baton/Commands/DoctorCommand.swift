package import ArgumentParser
import Foundation
import KVCore
import Migration

package struct DoctorCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Says how KV blocks can move to and from this machine, and what is in the way.",
    discussion: """
      baton doctor
      baton doctor --json

      For each transport: whether it can be used, what of the machine it stands on (devices, ports \
      and GIDs, limits, huge pages, socket buffers), and, after a "!", what is wrong with the \
      command that mends it.
      """)

  @Flag(help: "Print one JSON object for each transport, in one line.")
  var json = false

  package init() {}

  private struct Line: Encodable {
    let transport: String
    let usable: Bool
    let facts: [String]
    let advice: [String]
  }

  package func run() throws {
    let diagnosis = Diagnosis(.current())
    guard json else { return print(diagnosis.text) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    for finding in diagnosis.findings {
      let line = Line(
        transport: finding.transport.description, usable: finding.isUsable, facts: finding.facts,
        advice: finding.advice)
      print(String(decoding: try encoder.encode(line), as: UTF8.self))
    }
  }
}
