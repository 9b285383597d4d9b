import ControlTransport
import KVCore
import Testing

@Suite("Transport limits")
struct TransportLimitsTests {
  @Test("what may leave without credit fits what a connection may hold unwritten")
  func unwritten() {
    // All requests, and beside them an answer of the longest kind.
    #expect(
      TransportLimits.maximumRequestBytes + 2 * Limits.maximumMessageBytes
        < TransportLimits.maximumUnwrittenBytes)
    #expect(TransportLimits.maximumUrgentBytes < TransportLimits.maximumUnwrittenBytes)
    // A frame of the longest kind leaves in one write, or alone.
    #expect(Limits.maximumFramePayloadBytes <= TransportLimits.writeBytes)
  }
}
