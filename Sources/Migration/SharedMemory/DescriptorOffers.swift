import KVCore
import Platform

/// The descriptors that may be fetched, each once, by whoever knows its token: a value without IO.
struct DescriptorOffers: Sendable {
  struct Offer: Sendable {
    let link: LinkID
    fileprivate let token: [UInt8]
    fileprivate let peer: LinkPeer
    let file: SharedMemoryFile
  }

  private var offers: [Offer] = []

  /// Offers `file` to `peer`; the link's last offer ends.
  mutating func add(link: LinkID, token: [UInt8], peer: LinkPeer, file: SharedMemoryFile) {
    precondition(token.count == MigrationLimits.tokenBytes, "a token has 128 bits")
    remove(link: link)
    offers.append(Offer(link: link, token: token, peer: peer, file: file))
  }

  mutating func remove(link: LinkID) {
    offers.removeAll { $0.link == link }
  }

  /// Ends the offer that `request` has the token of, and says what came of it. The offer is there
  /// if the status is `granted`.
  mutating func redeem(
    _ request: DescriptorMessage
  ) -> (status: DescriptorMessage.Status, offer: Offer?) {
    // Every token is compared in full, so that the time taken tells nothing about any of them.
    var found: Int?
    for (index, offer) in offers.enumerated() where Self.areEqual(offer.token, request.token) {
      found = index
    }
    guard let found else { return (.tokenUnknown, nil) }
    let offer = offers.remove(at: found)
    guard offer.peer == request.speaker else { return (.wrongEngine, nil) }
    return (.granted, offer)
  }

  /// In a time that depends on the lengths only.
  private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
