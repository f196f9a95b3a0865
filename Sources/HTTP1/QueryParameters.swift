/// The pairs of a query between `&`, in order; none is left out, so that the query can be put together again as sent.
package struct QueryParameters: Sendable {
  package struct Parameter: Equatable, Sendable {
    /// What precedes the first `=` of the pair; the whole pair without one.
    package let key: Range<Int>
    /// What follows the first `=`; empty without one.
    package let value: Range<Int>
    /// All of it; empty between two `&`.
    package let pair: Range<Int>
  }

  /// What a key is to a name.
  package enum KeyMatch: Equatable, Sendable {
    case different
    /// Byte for byte the same.
    case literal
    /// The same only after percent-decoding.
    case disguised
  }

  private var rest: Range<Int>
  private var isAtEnd: Bool

  /// `query` is without its question mark; an empty one has no pairs.
  package init(_ query: Range<Int>) {
    rest = query
    isAtEnd = query.isEmpty
  }

  /// The next pair of the query, which lies in `bytes`.
  package mutating func next(_ bytes: Span<UInt8>) -> Parameter? {
    guard !isAtEnd else { return nil }
    let (equals, ampersand) = (UInt8(ascii: "="), UInt8(ascii: "&"))
    let keyEnd = bytes.firstMark(in: rest) { $0.marks(of: equals) | $0.marks(of: ampersand) }
    let end = bytes.firstMark(in: keyEnd..<rest.upperBound) { $0.marks(of: ampersand) }
    let start = rest.lowerBound
    isAtEnd = end == rest.upperBound
    rest = min(end + 1, rest.upperBound)..<rest.upperBound
    return Parameter(key: start..<keyEnd, value: min(keyEnd + 1, end)..<end, pair: start..<end)
  }

  /// Compares a key with `name`, decoding percent escapes once; `+` stays, and so does a malformed escape.
  package static func match(_ bytes: Span<UInt8>, key: Range<Int>, _ name: borrowing ShortText) -> KeyMatch {
    // An escape makes a key longer.
    guard key.count > name.count else { return bytes.has(name, at: key) ? .literal : .different }
    var index = key.lowerBound
    for place in 0..<name.count {
      guard index < key.upperBound else { return .different }
      var byte = bytes[index]
      if byte == UInt8(ascii: "%"), let decoded = percentDecoded(bytes, index + 1..<key.upperBound) {
        byte = decoded
        index += 2
      }
      guard byte == name.byte(at: place) else { return .different }
      index += 1
    }
    return index == key.upperBound ? .disguised : .different
  }
}
