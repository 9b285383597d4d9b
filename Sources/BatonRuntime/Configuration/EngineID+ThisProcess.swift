import Foundation
package import KVCore

extension EngineID {
  /// `ROLE-HOST-PID`: unique in a fleet whose hosts have different names.
  package static func ofThisProcess(role: Role) -> EngineID {
    let process = ProcessInfo.processInfo
    let host = process.hostName.unicodeScalars.map { scalar -> Character in
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": Character(scalar)
      default: "-"
      }
    }
    let ending = "-\(process.processIdentifier)"
    let start = "\(role)-" + String(host)
    let name = start.prefix(Limits.maximumEngineNameBytes - ending.count) + ending
    do {
      return try EngineID(String(name))
    } catch {
      preconditionFailure("a name made of allowed characters was refused: \(error)")
    }
  }
}
