/// The pairs of a query between `&`, in order; none is left out, so that the query can be put together again as sent.
@usableFromInline
package struct QueryParameters: Sendable {
  /// What a key is to a name.
  @usableFromInline
  package enum KeyMatch: Equatable, Sendable {
    case different
    /// Byte for byte the same.
    case literal
    /// The same only after percent-decoding.
    case disguised
  }

  @usableFromInline var rest: Range<Int>
  @usableFromInline var isAtEnd: Bool

  /// `query` is without its question mark; an empty one has no pairs.
  @inlinable
  package init(_ query: Range<Int>) {
    rest = query
    isAtEnd = query.isEmpty
  }

  /// The next pair of the query, which lies in `bytes`; empty between two `&`.
  @inlinable @inline(__always)
  package mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
    guard !isAtEnd else { return nil }
    let start = rest.lowerBound
    let end = bytes.first(UInt8(ascii: "&"), in: rest) ?? rest.upperBound
    isAtEnd = end == rest.upperBound
    rest = Swift.min(end + 1, rest.upperBound)..<rest.upperBound
    return start..<end
  }

  /// Compares the key of a pair, which ends before its first `=`, with `name`, which has none: percent escapes are decoded
  /// once; `+` stays, and so does a malformed escape.
  @inlinable @inline(__always)
  package static func match(_ bytes: Span<UInt8>, keyOf pair: Range<Int>, _ name: borrowing ShortText) -> KeyMatch {
    // An escape makes a key longer.
    guard pair.count >= name.count else { return .different }
    let end = pair.lowerBound &+ name.count
    if bytes.has(name, at: pair.lowerBound..<end), isEnd(bytes, end, ofKeyIn: pair) { return .literal }
    return isDecoded(bytes, keyOf: pair, name) ? .disguised : .different
  }

  @usableFromInline
  static func isDecoded(_ bytes: Span<UInt8>, keyOf pair: Range<Int>, _ name: borrowing ShortText) -> Bool {
    var index = pair.lowerBound
    for place in 0..<name.count {
      guard index < pair.upperBound else { return false }
      var byte = bytes[index]
      if byte == UInt8(ascii: "%"), let decoded = percentDecoded(bytes, index + 1..<pair.upperBound) {
        byte = decoded
        index += 2
      }
      guard byte == name.byte(at: place) else { return false }
      index += 1
    }
    return isEnd(bytes, index, ofKeyIn: pair)
  }

  @inlinable @inline(__always)
  static func isEnd(_ bytes: Span<UInt8>, _ index: Int, ofKeyIn pair: Range<Int>) -> Bool {
    index == pair.upperBound || bytes[index] == UInt8(ascii: "=")
  }
}
