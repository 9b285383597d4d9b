import ControlWire
import TestSupport
import Testing

@Suite("CRC-32C")
struct CRC32CTests {
  /// RFC 3720, B.4, and the check value of the CRC catalogues for "123456789".
  static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
    (Array(repeating: 0, count: 32), 0x8A91_36AA),
    (Array(repeating: 0xFF, count: 32), 0x62A8_AB43),
    (Array(0..<32), 0x46DD_794E),
    (Array((0..<32).reversed()), 0x113F_DB5C),
    (
      [0x01, 0xC0, 0, 0] + Array(repeating: 0, count: 12) + [
        0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14,
      ]
        + [0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0] + [2, 0, 0, 0, 0, 0, 0, 0],
      0xD996_3A56
    ),
    (Array("123456789".utf8), 0xE306_9283),
    ([], 0),
  ]

  @Test("matches the published vectors, by instruction and by table")
  func vectorsMatch() {
    for vector in Self.vectors {
      #expect(CRC32C.checksum(vector.bytes.span) == vector.checksum)
      #expect(CRC32C.portableChecksum(vector.bytes.span) == vector.checksum)
    }
  }

  @Test("is the same by instruction and by table at every length and alignment")
  func pathsAgree() {
    var random = RandomMessages(seed: 1)
    let bytes = random.bytes(300)
    for start in 0..<9 {
      for end in start...bytes.count {
        let part = Array(bytes[start..<end])
        #expect(
          CRC32C.checksum(part.span) == CRC32C.portableChecksum(part.span))
      }
    }
  }
}
