/// The pairs of a query between `&`, in order; none is left out, so that the query can be put together again as sent.
@usableFromInline
package struct QueryParameters: Sendable {
  /// What a key is to a name.
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

  /// What precedes the first `=` of a pair; the whole pair without one.
  @inlinable @inline(__always)
  package static func key(of pair: Range<Int>, _ bytes: Span<UInt8>) -> Range<Int> {
    pair.lowerBound..<(bytes.first(UInt8(ascii: "="), in: pair) ?? pair.upperBound)
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
