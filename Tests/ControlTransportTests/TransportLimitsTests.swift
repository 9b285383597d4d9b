import ControlTransport
import KVCore
import Testing

@Suite("Transport limits")
struct TransportLimitsTests {
  @Test("a connection may hold unwritten what one answer may be")
  func unwritten() {
    // A model file is sent at once; its pieces' headers and names take less than a sixteenth.
    #expect(Limits.maximumModelAssetBytes / 16 * 17 < TransportLimits.maximumUnwrittenBytes)
    #expect(Limits.maximumMessageBytes < TransportLimits.maximumUnwrittenBytes)
  }
}
