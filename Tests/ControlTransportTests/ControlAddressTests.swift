import ControlTransport
import KVCore
import Testing

@Suite("Control addresses")
struct ControlAddressTests {
  @Test("addresses are read and shown in one form")
  func readAndShown() throws {
    let cases: [(String, ControlAddress)] = [
      ("localhost:9000", .tcp(host: "localhost", port: 9_000)),
      ("127.0.0.1:0", .tcp(host: "127.0.0.1", port: 0)),
      ("[::1]:65535", .tcp(host: "::1", port: 65_535)),
      ("unix:/run/baton/a.sock", .unix(path: "/run/baton/a.sock")),
      ("unix:@baton", .unix(path: "@baton")),
    ]
    for (text, address) in cases {
      #expect(try ControlAddress(text) == address)
      #expect(address.description == text)
    }
  }

  @Test(
    "what is not an address is refused with what is right",
    arguments: [
      "", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:+1", "::1:80", "[]:80",
      "a b:80", "unix:", "unix:@", "unix:relative", "unix:/" + String(repeating: "x", count: 103),
      "unix:/a\0b",
    ])
  func refused(text: String) {
    #expect {
      _ = try ControlAddress(text)
    } throws: { error in
      (error as? BatonError)?.code == .invalidArgument && "\(error)".contains("HOST:PORT")
    }
  }

  @Test("loopback and Unix sockets are local, everything else is not")
  func local() throws {
    for text in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/a", "unix:@a"] {
      #expect(try ControlAddress(text).isLocal, "\(text)")
    }
    for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "127.example.org:1"] {
      #expect(try !ControlAddress(text).isLocal, "\(text)")
    }
  }
}
