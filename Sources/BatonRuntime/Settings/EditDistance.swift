/// How far two names are from each other, to guess what somebody meant.
enum EditDistance {
  /// Levenshtein's distance: insertions, deletions and replacements of single characters.
  static func between(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (index, character) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in right.indices {
        let replaced = diagonal + (right[column] == character ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
      }
    }
    return row[right.count]
  }

  /// The candidate nearest to `name`, the first one of several.
  static func nearest(to name: String, among candidates: [String]) -> String? {
    candidates.min { between(name, $0) < between(name, $1) }
  }
}
