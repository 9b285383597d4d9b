import ControlProtocol
import KVCore
import Testing

@Suite("Keys of data connections")
struct DataKeysTests {
  private static let salt = [UInt8](repeating: 9, count: DataKeys.saltBytes)
  private static let link = LinkID(7)
  private static let said = Array("what both have said".utf8)

  private static func clusterKeys(_ bytes: UInt8...) throws(BatonError) -> ClusterKeys {
    var keys: [ClusterKey] = []
    for byte in bytes { keys.append(try ClusterKey([UInt8](repeating: byte, count: 32))) }
    return try ClusterKeys(keys)
  }

  @Test("A side's codes are accepted as its own over the same words, and as nothing else")
  func codes() throws {
    for cluster in [nil, try Self.clusterKeys(1), try Self.clusterKeys(1, 2)] {
      let keys = DataKeys(clusterKeys: cluster, salt: Self.salt, link: Self.link)
      let codes = keys.codes(of: .reader, over: Self.said)
      #expect(codes.count == DataKeys.maximumCodes * DataKeys.codeBytes)
      #expect(keys.accept(codes, of: .reader, over: Self.said))
      #expect(!keys.accept(codes, of: .owner, over: Self.said))
      #expect(!keys.accept(codes, of: .reader, over: Self.said + [0]))
      for place in [0, 31] {
        var wrong = Array(codes.prefix(32))
        wrong[place] ^= 1
        #expect(!keys.accept(wrong, of: .reader, over: Self.said))
      }
      #expect(!keys.accept([], of: .reader, over: Self.said))
      #expect(!keys.accept([UInt8](repeating: 0, count: 64), of: .reader, over: Self.said))
    }
  }

  @Test("Another link, salt or cluster key gives other keys; one of two keys is enough")
  func separation() throws {
    let one = try Self.clusterKeys(1)
    let codes = DataKeys(clusterKeys: one, salt: Self.salt, link: Self.link)
      .codes(of: .owner, over: Self.said)
    func accepts(_ cluster: ClusterKeys?, salt: [UInt8] = Self.salt, link: LinkID = Self.link)
      -> Bool
    {
      DataKeys(clusterKeys: cluster, salt: salt, link: link)
        .accept(codes, of: .owner, over: Self.said)
    }
    #expect(accepts(one))
    #expect(accepts(try Self.clusterKeys(3, 1)))
    #expect(!accepts(try Self.clusterKeys(3)))
    #expect(!accepts(nil))
    #expect(!accepts(one, link: LinkID(8)))
    #expect(!accepts(one, salt: [UInt8](repeating: 8, count: DataKeys.saltBytes)))
  }
}
