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

  /// What somebody who wrote `name` can be told: the nearest of `candidates`, or all of them where
  /// none is near.
  static func hint(for name: String, among candidates: [String]) -> String {
    let nearest = candidates.min { between(name, $0) < between(name, $1) }
    if let nearest, between(name, nearest) <= max(2, name.count / 4) {
      return "the nearest is \"\(nearest)\""
    }
    return "there are " + candidates.sorted().joined(separator: ", ")
  }
}
