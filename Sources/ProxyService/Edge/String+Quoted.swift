extension String {
  /// A client's own text for a message to it: in quotes, and cut to
  /// `EdgeLimits.maximumQuotedCharacters`.
  var quoted: String { "\"" + shortened + "\"" }

  /// Cut to `EdgeLimits.maximumQuotedCharacters`.
  var shortened: String {
    let most = EdgeLimits.maximumQuotedCharacters
    // Only as much is walked as is kept.
    guard let end = index(startIndex, offsetBy: most, limitedBy: endIndex), end < endIndex
    else { return self }
    return self[..<end] + "…"
  }
}
