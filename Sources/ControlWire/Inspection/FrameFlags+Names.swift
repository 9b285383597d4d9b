extension FrameFlags {
  private static let bitNames = [
    0: "compressed", 1: "last", 2: "response", 3: "continues", 4: "deadline",
  ]

  /// The bits that are set, by the names that the protocol gives them, lowest first.
  var names: [String] {
    (0..<8).filter { rawValue & 1 << $0 != 0 }.map { Self.bitNames[$0] ?? "bit \($0)" }
  }
}
