/// The name of one engine, unique in a fleet, for example `prefill-0`.
///
/// 1 to 64 characters of `a-z A-Z 0-9 . _ -`.
package struct EngineID: Hashable, Sendable, CustomStringConvertible {
  package let name: String

  /// Throws `BatonError` with code `invalidArgument` for a name that is empty, too long, or has a
  /// character outside the set.
  package init(_ name: String) throws(BatonError) {
    let allowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"):
        true
      default:
        false
      }
    }
    guard allowed, (1...Limits.maximumEngineNameBytes).contains(name.utf8.count) else {
      throw BatonError(
        .invalidArgument,
        "engine id \"\(name)\": 1 to \(Limits.maximumEngineNameBytes) characters of "
          + "a-z A-Z 0-9 . _ - are allowed")
    }
    self.name = name
  }

  package var description: String { name }
}

/// A random 64-bit id of one start of one engine; a restarted engine has a new one.
package struct Incarnation: Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static func random() -> Incarnation { Incarnation(UInt64.random(in: 1...UInt64.max)) }

  package var description: String { Hexadecimal.string(rawValue) }
}

/// The id that one client request carries through every process and log line.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
  package let rawValue: String

  package init(_ rawValue: String) { self.rawValue = rawValue }

  package static func random() -> RequestID {
    RequestID("cmpl-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max)))
  }

  package var description: String { rawValue }
}

/// 128 random bits that allow one migration; whoever knows them may claim it.
package struct TicketID: Hashable, Sendable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Drawn from the system's cryptographic generator (getrandom(2)), so that it cannot be guessed.
  package static func random() -> TicketID {
    var generator = SystemRandomNumberGenerator()
    return TicketID(high: generator.next(), low: generator.next())
  }

  /// Only the first half: the whole id is a secret and stays out of logs.
  package var description: String { Hexadecimal.string(high) }
}

/// The number of one link between one prefill and one decode engine, chosen by the decode side.
package struct LinkID: Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static func random() -> LinkID { LinkID(UInt64.random(in: 1...UInt64.max)) }

  package var description: String { Hexadecimal.string(rawValue) }
}

/// The number by which both sides of a link name one registered region.
package struct RegionKey: Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32

  package init(_ rawValue: UInt32) { self.rawValue = rawValue }

  package var description: String { "\(rawValue)" }
}

/// What a process does in the fleet. The raw values are those of `baton.v1.Role`.
package enum Role: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case prefill = 1
  case decode = 2
  case hybrid = 3
  case proxy = 4
  /// Asks, and is not asked.
  case client = 5

  package var description: String {
    switch self {
    case .prefill: "prefill"
    case .decode: "decode"
    case .hybrid: "hybrid"
    case .proxy: "proxy"
    case .client: "client"
    }
  }
}
