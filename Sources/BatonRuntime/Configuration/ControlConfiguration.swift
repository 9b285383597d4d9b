package import ControlProtocol
package import ControlTransport
import Foundation
package import KVCore

/// How a process speaks to the others of its fleet.
package struct ControlConfiguration: Hashable, Sendable {
  /// Nil where peers are believed without a proof.
  package var keyFile: String?
  package var compression: ControlOptions.Compression
  package var peerTimeoutMilliseconds: Int

  /// Throws `BatonError` with `invalidArgument` for a setting that is given a wrong value.
  package init(settings: SettingsResolver) throws(BatonError) {
    keyFile = try settings.value(of: Settings.clusterKeyFile)
    compression = try settings.value(of: Settings.compression)
    peerTimeoutMilliseconds = try settings.value(of: Settings.peerTimeout)
  }

  /// The control addresses of the proxy whose clients find it at `port`.
  package static func proxyAddresses(
    settings: SettingsResolver, port: Int
  ) throws(BatonError) -> [String] {
    let given = try settings.value(of: Settings.controlAddress)
    return given.isEmpty && port != 0 ? ["unix:@baton-\(port)"] : given
  }

  /// What gives another process of the fleet the same configuration.
  var arguments: [String] {
    [
      Settings.compression.flag, compression.description, Settings.peerTimeout.flag,
      "\(peerTimeoutMilliseconds)",
    ] + (keyFile.map { [Settings.clusterKeyFile.flag, $0] } ?? [])
  }

  /// What connections are opened and accepted with. Throws as `keys` does.
  package func options() throws(BatonError) -> ControlOptions {
    ControlOptions(
      keys: try keys(), compression: compression,
      peerTimeout: .milliseconds(peerTimeoutMilliseconds))
  }

  /// The keys in the key file; nil where none is named.
  ///
  /// Throws `BatonError` with `invalidArgument`, naming the file, when it cannot be read, when
  /// users of other groups can or others than its owner can write it, and when it holds something
  /// else than one or two keys.
  package func keys() throws(BatonError) -> ClusterKeys? {
    guard let keyFile else { return nil }
    let source = "\(Settings.clusterKeyFile.flag) \(keyFile)"
    let text: String
    let mode: Int
    do {
      let attributes = try FileManager.default.attributesOfItem(atPath: keyFile)
      mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
      text = try String(contentsOfFile: keyFile, encoding: .utf8)
    } catch {
      throw BatonError(.invalidArgument, "\(source): \(error.localizedDescription)")
    }
    guard mode & 0o027 == 0 else {
      throw BatonError(
        .invalidArgument,
        "\(source): others than its owner can write it, or every user of this machine can read it; "
          + "`chmod g-w,o= \(keyFile)` is right")
    }
    do {
      return try ClusterKeys(text: text)
    } catch {
      throw BatonError(error.code, "\(source): \(error.message)")
    }
  }
}
