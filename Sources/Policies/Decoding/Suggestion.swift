/// ` (did you mean "scopes"?)` with the nearest of the known words; empty if none is close.
package func suggestion(for word: String, among known: some Sequence<String>) -> String {
  let wanted = Array(word.utf8.prefix(64))
  var nearest: (word: String, distance: Int)?
  for candidate in known {
    let distance = editDistance(wanted, Array(candidate.utf8.prefix(64)))
    guard distance <= max(1, wanted.count / 3), distance < nearest?.distance ?? .max else { continue }
    nearest = (candidate, distance)
  }
  return nearest.map { nearest in " (did you mean \"\(nearest.word)\"?)" } ?? ""
}

/// The fewest single-byte insertions, removals and replacements between the two (Levenshtein).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var row = Array(0...right.count)
  for (leftIndex, leftByte) in left.enumerated() {
    var diagonal = row[0]
    row[0] = leftIndex + 1
    for (rightIndex, rightByte) in right.enumerated() {
      let replaced = diagonal + (leftByte == rightByte ? 0 : 1)
      diagonal = row[rightIndex + 1]
      row[rightIndex + 1] = min(replaced, diagonal + 1, row[rightIndex] + 1)
    }
  }
  return row[right.count]
}

/// Suggestions from a list of names that may be long; only for the first 20 words, because each takes time proportional
/// to the list.
final class Suggestions {
  private static let countMax = 20

  private let names: Set<String>
  private lazy var sorted = names.sorted()
  private var count = 0

  init(among names: Set<String>) {
    self.names = names
  }

  /// As `suggestion(for:among:)`; empty after the first 20 calls.
  func next(for word: String) -> String {
    guard count < Self.countMax else { return "" }
    count += 1
    return suggestion(for: word, among: sorted)
  }
}
