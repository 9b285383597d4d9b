package import ArgumentParser
import BatonRuntime
package import Benchmarks
import Foundation
import KVCore

package struct MigrateBenchCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Hands one sequence's KV over between two processes, beside plain copies of it.",
    discussion: """
      baton bench migrate --mode copy --tokens 2048
      baton bench migrate --mode copy --tokens 2048 --block-bytes 262144 --blocks scattered
      baton bench migrate --mode borrow --tokens 131072 --geometry 2,8,128,bf16 --json

      A second process owns the pool; nothing but the engine is left out. The limit is the fastest \
      plain copy of the same blocks between the same memory by one thread, libc's or one past the \
      caches, measured in turns with the migrations. What has arrived is compared with what was \
      written, outside of the time that is measured. With --transport tcp both are on this \
      machine, and the limit is a bare stream of the same blocks over as many connections; with \
      --transport rdma it is the best of ib_read_bw, or ib_read_lat where the bytes are few.
      """)

  @Option(help: "How the bytes go.")
  var transport = MigrateOptions.Transport.shm

  @Option(help: "Whether blocks are read in place or copied.")
  var mode = MigrateOptions.Mode.copy

  @Option(help: "Tokens of the sequence.")
  var tokens = 2_048

  @Option(
    help: "The shape of the KV: llama-8b, embedded, or layers,KV heads,head dimension,f32|bf16.")
  var geometry = "llama-8b"

  @Option(help: "Bytes of one block; as many as 16 tokens take where this is not given.")
  var blockBytes: Int?

  @Option(help: "How the blocks lie in both pools.")
  var blocks = MigrateOptions.Placement.contiguous

  @Option(
    help: "Whether checksums are checked. Default: full for copy, off for borrow.")
  var verify: MigrateOptions.Verify?

  @Option(help: "The pages of the pools. Default: the best that the system gives.")
  var pages: MigrateOptions.Pages?

  @Option(help: "For how many seconds rounds begin; ten are measured at least.")
  var seconds = 3.0

  @Option(help: "Queue pairs or data connections of the link.")
  var lanes: Int?

  @Flag(help: "Print one JSON object in one line.")
  var json = false

  package init() {}

  package func run() async throws {
    let options = try usage { () throws(BatonError) in
      try MigrateOptions(
        transport: transport, mode: mode, tokens: tokens,
        geometry: BenchmarkGeometry(geometry), blockBytes: blockBytes, placement: blocks,
        verify: verify, pages: pages, seconds: seconds, lanes: lanes)
    }
    do {
      let result = try await MigrateBenchmark.run(options)
      print(json ? result.json : result.table)
    } catch {
      throw CommandFailure.exit(because: error, status: .failure)
    }
  }

  private func usage<Value>(_ body: () throws(BatonError) -> Value) throws -> Value {
    do throws(BatonError) {
      return try body()
    } catch {
      throw CommandFailure.exit(because: error, status: .usage)
    }
  }
}

extension MigrateOptions.Transport: ExpressibleByArgument {}
extension MigrateOptions.Mode: ExpressibleByArgument {}
extension MigrateOptions.Placement: ExpressibleByArgument {}
extension MigrateOptions.Verify: ExpressibleByArgument {}
extension MigrateOptions.Pages: ExpressibleByArgument {}
