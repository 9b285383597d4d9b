import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import Testing

/// What a real prefill engine says to whoever deals wrongly with a ticket.
extension SystemTests {
  @Test(
    "Each wrong use of a ticket is refused with an error of its own, and changes nothing",
    .timeLimit(.minutes(1)))
  func leaseErrors() async throws {
    let prefill = try await EngineProcess("prefill", name: "prefill-0")
    let proxy = try await prefill.connectAsProxy()
    let start = Incarnation.random()
    let decode = try await prefill.connect(asDecode: "decode-0", incarnation: start)
    let link = try await decode.openLink()
    let other = try await prefill.connect(asDecode: "decode-1")
    let otherLink = try await other.openLink()
    let restarted = try await prefill.connect(asDecode: "decode-0")
    let restartedLink = try await restarted.openLink()

    let prompt = try await LentPrompt(proxy, tokenCount: 100)
    let ticket = prompt.ticket.id
    let used = 7
    func claim(_ ticket: TicketID, _ link: LinkID, attempt: UInt32 = 0) -> Message {
      .ticketClaim(TicketClaim(ticket: ticket, link: link, attempt: attempt))
    }
    let own = LeaseTickets(tickets: [ticket])
    func expect(
      _ who: ControlConnection, _ message: Message, _ code: ErrorCode, _ text: String, used: Int,
      _ location: SourceLocation = #_sourceLocation
    ) async throws {
      let refusal = await who.refusal(of: message)
      #expect(refusal.code == code, sourceLocation: location)
      #expect(refusal.text.contains(text), "\(refusal.text)", sourceLocation: location)
      #expect(try await prefill.usedBlocks(over: proxy) == used, sourceLocation: location)
    }

    let forged = TicketID.random()
    try await expect(decode, claim(forged, link), .ticketUnknown, "never granted", used: used)
    try await expect(
      decode, .leaseRelease(LeaseTickets(tickets: [forged])), .ticketUnknown, "never granted",
      used: used)
    for wrong in [link, LinkID.random()] {
      try await expect(
        other, claim(ticket, wrong), .protocolViolation, "is not open on this connection",
        used: used)
    }
    for early in [Message.leaseRenew(own), .leaseRelease(own)] {
      try await expect(decode, early, .protocolViolation, "has not been claimed", used: used)
    }

    let progress = try #require(try await decode.claim(ticket, over: link))
    #expect(progress.completion != nil)
    let claimed = "is claimed by decode-0/\(start)"
    try await expect(other, claim(ticket, otherLink), .ticketClaimed, claimed, used: used)
    try await expect(
      decode, claim(ticket, link, attempt: 1), .ticketClaimed, "in attempt 0, not by", used: used)
    for (who, itsLink) in [(other, otherLink), (restarted, restartedLink)] {
      for message in [claim(ticket, itsLink), .leaseRenew(own), .leaseRelease(own)] {
        try await expect(who, message, .ticketClaimed, claimed, used: used)
      }
    }
    // Its claimant goes on as if nothing had happened.
    #expect(
      try await decode.request(.leaseRenew(own), within: EngineProcess.limit) == .acknowledged)
    let again = try #require(try await decode.claim(ticket, over: link))
    #expect(again.completion == progress.completion)
    #expect(again.stamps.count == used)

    #expect(
      try await decode.request(.leaseRelease(own), within: EngineProcess.limit) == .acknowledged)
    #expect(try await prefill.usedBlocks(over: proxy) == 0)
    for late in [Message.leaseRelease(own), .leaseRenew(own), claim(ticket, link)] {
      try await expect(decode, late, .ticketUnknown, "has been released", used: 0)
    }
  }

  @Test(
    "A ticket ends with its claimant's connection or link, and when its owner takes it back",
    .timeLimit(.minutes(1)))
  func leaseEnds() async throws {
    let prefill = try await EngineProcess("prefill", name: "prefill-0")
    let proxy = try await prefill.connectAsProxy()
    let lost = try await prefill.connect(asDecode: "decode-0")
    let late = try await prefill.connect(asDecode: "decode-1")
    let lateLink = try await late.openLink()
    func expectEnd(_ prompt: LentPrompt, _ code: ErrorCode, _ text: String) async throws {
      while try await prefill.usedBlocks(over: proxy) > 0 { try Task.checkCancellation() }
      let claim = TicketClaim(ticket: prompt.ticket.id, link: lateLink, attempt: 0)
      let refusal = await late.refusal(of: .ticketClaim(claim))
      #expect(refusal.code == code)
      #expect(refusal.text.contains(text), "\(refusal.text)")
    }

    let claimed = try await LentPrompt(proxy, tokenCount: 50)
    _ = try await lost.claim(claimed.ticket.id, over: try await lost.openLink())
    #expect(try await prefill.usedBlocks(over: proxy) == 4)
    lost.close()
    try await expectEnd(claimed, .leaseExpired, "ended with its claimant decode-0/")

    let other = try await prefill.connect(asDecode: "decode-2")
    let (closed, open) = (try await other.openLink(), try await other.openLink())
    let gone = try await LentPrompt(proxy, tokenCount: 50)
    _ = try await other.claim(gone.ticket.id, over: closed)
    let close = Message.linkClose(LinkClose(link: closed))
    #expect(await late.refusal(of: close).code == .protocolViolation)
    #expect(await other.refusal(of: close).code == nil)
    #expect(await other.refusal(of: close).code == .protocolViolation)
    try await expectEnd(gone, .leaseExpired, "ended with its claimant decode-2/")
    // The connection goes on, and its other link.
    let kept = try await LentPrompt(proxy, tokenCount: 50)
    #expect(try await other.claim(kept.ticket.id, over: open)?.completion != nil)
    _ = await other.refusal(of: .leaseRelease(LeaseTickets(tickets: [kept.ticket.id])))

    let cancelled = try await LentPrompt(proxy, tokenCount: 50)
    cancelled.cancel()
    try await expectEnd(cancelled, .cancelled, "taken back by its owner")
  }

  @Test("A ticket that nobody claims, or renews, expires and is refused as such")
  func leaseExpires() async throws {
    let prefill = try await EngineProcess("prefill", name: "prefill-0")
    let proxy = try await prefill.connectAsProxy()
    let decode = try await prefill.connect(asDecode: "decode-0")
    let link = try await decode.openLink()
    let unclaimed = try await LentPrompt(proxy, tokenCount: 50)
    let claimed = try await LentPrompt(proxy, tokenCount: 50)
    _ = try await decode.claim(claimed.ticket.id, over: link)
    var expired = 0
    try await prefill.process.first { line -> Bool? in
      if line.contains("lease expired") { expired += 1 }
      return expired == 2 ? true : nil
    }
    while try await prefill.usedBlocks(over: proxy) > 0 { try Task.checkCancellation() }
    for prompt in [unclaimed, claimed] {
      let ticket = prompt.ticket.id
      let tickets = LeaseTickets(tickets: [ticket])
      for message in [
        Message.ticketClaim(TicketClaim(ticket: ticket, link: link, attempt: 0)),
        .leaseRenew(tickets), .leaseRelease(tickets),
      ] {
        let refusal = await decode.refusal(of: message)
        #expect(refusal.code == .leaseExpired)
        #expect(refusal.text.contains("has expired"), "\(refusal.text)")
      }
    }
  }

  @Test(
    "A ticket of an earlier start of prefill is refused by prefill and by decode",
    .timeLimit(.minutes(1)))
  func earlierStart() async throws {
    let first = try await EngineProcess("prefill", name: "prefill-0")
    let decode = try await EngineProcess("decode", name: "decode-0")
    let proxy = try await decode.connectAsProxy()
    let old = try await LentPrompt(try await first.connectAsProxy(), tokenCount: 50)
    first.process.signal(SIGKILL)
    _ = await first.process.exitStatus()

    let second = try await EngineProcess("prefill", name: "prefill-0", address: first.address)
    let request = DecodeRequest(
      request: .random(), attempt: 0, ticket: old.ticket,
      sampling: SamplingParameters(
        temperature: 0, seed: 1, maximumTokens: 8, ignoresEndTokens: true))
    let byDecode = await proxy.refusal(of: .decodeRequest(request))
    #expect(byDecode.code == .ticketUnknown)
    #expect(byDecode.text.contains("from another start of prefill-0"), "\(byDecode.text)")

    let claimant = try await second.connect(asDecode: "decode-1")
    let claim = TicketClaim(
      ticket: old.ticket.id, link: try await claimant.openLink(), attempt: 0)
    let byPrefill = await claimant.refusal(of: .ticketClaim(claim))
    #expect(byPrefill.code == .ticketUnknown)
    #expect(byPrefill.text.contains("never granted"), "\(byPrefill.text)")
  }
}
