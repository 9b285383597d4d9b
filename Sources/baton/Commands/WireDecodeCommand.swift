package import ArgumentParser
import BatonRuntime
import ControlWire
import Foundation
import KVCore
import SystemPackage

package struct WireDecodeCommand: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "decode", abstract: "Prints frames as JSON, one object a line.",
    discussion: """
      baton wire decode capture.bin
      echo '42 41 54 4e 01 02 0a 00 ...' | baton wire decode

      Reads the bytes of one direction of a connection, as they are or as hexadecimal text. The \
      exit status is 1 when a frame or message is malformed; the reason and the offset are on its \
      line. Integers of 64 bits are strings, bytes are hexadecimal.
      """)

  @Argument(help: "The file to read; standard input if there is none.")
  var file: String?

  @Flag(name: .customLong("hex"), help: "The input is hexadecimal text, whatever it looks like.")
  var isHexadecimal = false

  @Flag(name: .customLong("raw"), help: "The input is the bytes themselves.")
  var isRaw = false

  package init() {}

  package func validate() throws {
    guard !(isHexadecimal && isRaw) else {
      throw ValidationError("--hex and --raw exclude each other")
    }
  }

  package func run() async throws {
    var reader = CaptureReader(form: isHexadecimal ? .hexadecimal : isRaw ? .raw : nil)
    var inspector = FrameInspector()
    do {
      let input = try open()
      while let piece = try input.read(upToCount: 1 << 16), !piece.isEmpty {
        try print(inspector.feed(reader.bytes(in: [UInt8](piece))))
      }
      try print(inspector.feed(reader.finish()))
    } catch let error as BatonError {
      throw CommandFailure.exit(because: error, status: .failure)
    } catch let error as CocoaError {
      let text = "\(file ?? "standard input"): \(error.localizedDescription)"
      throw CommandFailure.exit(because: BatonError(.invalidArgument, text), status: .failure)
    }
    if let line = inspector.finish() { try print([line]) }
    guard inspector.isSound else { throw ExitCode(ExitStatus.failure.rawValue) }
  }

  private func open() throws -> FileHandle {
    guard let file else { return .standardInput }
    do {
      let descriptor = try FileDescriptor.open(FilePath(file), .readOnly)
      return FileHandle(fileDescriptor: descriptor.rawValue, closeOnDealloc: true)
    } catch let error as Errno {
      throw BatonError(.invalidArgument, "cannot read \(file): \(error)")
    }
  }

  private func print(_ lines: [String]) throws {
    guard !lines.isEmpty else { return }
    let text = lines.map { $0 + "\n" }.joined()
    try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
  }
}
