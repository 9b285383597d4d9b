package import KVCore

/// The link of this decode engine to one prefill engine, whichever start of it: who wants the link
/// opens it, joins who does, or uses it.
package enum LinkMachine: Hashable, Sendable {
  case none
  case opening
  case live(LinkID)

  package enum Event: Hashable, Sendable {
    /// Somebody has a ticket of the engine.
    case wanted
    case opened(LinkID)
    /// It could not be opened.
    case failed
    /// The connection of this link has ended.
    case lost(LinkID)
    /// A better one over the same connection takes its place.
    case replaced(LinkID, by: LinkID)
  }

  package enum Action: Hashable, Sendable {
    case nothing
    case open
    /// Wait for the opening that is under way.
    case join
    case use(LinkID)
  }

  /// Goes to the state after `event` and says what to do.
  package mutating func on(_ event: Event) -> Action {
    switch (self, event) {
    case (.none, .wanted):
      self = .opening
      return .open
    case (.opening, .wanted): return .join
    case (.live(let link), .wanted): return .use(link)
    case (.opening, .opened(let link)):
      self = .live(link)
      return .use(link)
    case (.opening, .failed):
      self = .none
      return .nothing
    case (.live(let link), .lost(let lost)) where link == lost:
      self = .none
      return .nothing
    case (.live(let link), .replaced(let old, let new)) where link == old:
      self = .live(new)
      return .use(new)
    // What comes of an earlier link, or what only an opening can bring.
    case (.none, _), (.opening, .lost), (.live, .opened), (.live, .failed), (.live, .lost),
      (.opening, .replaced), (.live, .replaced):
      return .nothing
    }
  }
}
