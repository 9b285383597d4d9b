import Glibc
package import KVCore

/// The small model that is built into the package.
package enum EmbeddedModel {
  /// What it is called on the wire and at the edge.
  package static let name = "baton-stories"

  /// The directory of the resource bundle beside the running executable.
  ///
  /// Swift's own accessor for resources ends the process when they are missing; this throws
  /// `BatonError` with `invalidArgument` and says where they should be.
  package static func directory() throws(BatonError) -> String {
    let path = try expectedDirectory()
    guard ModelDirectory.exists("\(path)/config.json") else {
      throw BatonError(
        .invalidArgument,
        "the embedded model is not at \(path); keep baton_Inference.resources beside the "
          + "executable or name another model's directory")
    }
    return path
  }

  static func isEmbedded(_ directory: String) -> Bool {
    guard let path = try? expectedDirectory() else { return false }
    return directory == path
  }

  /// Beside /proc/self/exe (proc(5)).
  private static func expectedDirectory() throws(BatonError) -> String {
    let link = "/proc/self/exe"
    guard let resolved = unsafe realpath(link, nil) else {
      let reason = unsafe String(cString: strerror(errno))
      throw BatonError(.invalidArgument, "cannot resolve \(link): \(reason)")
    }
    defer { unsafe free(resolved) }
    let executable = unsafe String(cString: resolved)
    let folder = executable.prefix(upTo: executable.lastIndex(of: "/") ?? executable.startIndex)
    return "\(folder)/baton_Inference.resources/DefaultModel"
  }
}
