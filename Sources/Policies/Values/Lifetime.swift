/// A duration as an operator writes it: `45s`, `30m`, `12h` or `90d`; at most ten years.
package struct Lifetime: Hashable, Sendable {
  package static let rule = "must be a number with a unit, such as 45s, 30m, 12h or 90d; at most 3650d"
  private static let secondsMax: Int64 = 3650 * 86_400

  package let seconds: Int64

  /// nil for text that violates `rule`.
  package init?(_ text: String) {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let last = text.last, let unit = units[last], (2...10).contains(text.utf8.count),
      text.utf8.dropLast().allSatisfy(isDecimalDigit), let count = Int64(text.dropLast()),
      count * unit <= Self.secondsMax
    else { return nil }
    seconds = count * unit
  }
}
