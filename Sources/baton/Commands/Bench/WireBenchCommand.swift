package import ArgumentParser
import BatonRuntime
import Benchmarks
import KVCore
import NIOCore

package struct WireBenchCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Measures the control protocol between two processes, beside a bare echo.",
    discussion: """
      baton bench wire
      baton bench wire --json

      What encoding and decoding costs for each message that is sent often; round trips a second \
      over a Unix socket and TCP beside an echo of as many bytes between the same event loops, and \
      beside one that a task asks and waits for, in turns, medians of 11 rounds; and the \
      processor time that a token chunk costs each end, threads and system calls included.
      """)

  @Flag(help: "Print JSON objects, one in each line.")
  var json = false

  package init() {}

  package func run() async throws {
    do {
      let result = try await WireBenchmark.run()
      print(json ? result.json : result.table)
    } catch {
      throw CommandFailure.exit(because: BatonError(wrapping: error), status: .failure)
    }
  }
}

/// The second process of `baton bench wire`.
package struct WirePeerCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: WirePeer.commandName, shouldDisplay: false)

  package init() {}

  package func run() async throws { try await WirePeer.run() }
}
