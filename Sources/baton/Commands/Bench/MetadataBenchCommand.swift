package import ArgumentParser
import BatonRuntime
import Benchmarks
import KVCore

package struct MetadataBenchCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "metadata",
    abstract: "Measures tickets and progress of long prompts: as JSON, packed, and compressed.",
    discussion: """
      baton bench metadata
      baton bench metadata --json

      Bytes without frame headers, and the microseconds that encoding and decoding take, medians \
      of 21 rounds, for prompts of 1k to 1M tokens in blocks of 16: of the ticket, of all progress \
      in passes of 256 tokens, and of the progress that a late claim gets at once. The blocks are \
      one run, runs of 32 at random places, or scattered; the stamps follow each other likewise. \
      JSON is Foundation's, with every block by its number.
      """)

  @Flag(help: "Print JSON objects, one in each line.")
  var json = false

  package init() {}

  package func run() async throws {
    do {
      let result = try MetadataBenchmark.run()
      print(json ? result.json : result.table)
    } catch {
      throw CommandFailure.exit(because: BatonError(wrapping: error), status: .failure)
    }
  }
}
