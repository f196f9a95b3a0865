/// The `&`-separated pairs of a query, in order and including empty ones, so that the query can be rebuilt as sent.
@usableFromInline
package struct QueryParameters: Sendable {
  /// How a key compares with a name.
  @usableFromInline
  package enum KeyMatch: Equatable, Sendable {
    case different
    /// The key equals the name byte for byte.
    case literal
    /// The key equals the name only after percent-decoding.
    case percentEncoded
  }

  @usableFromInline var rest: Range<Int>
  @usableFromInline var isAtEnd: Bool

  /// - Parameter query: the query without its question mark; an empty one has no pairs.
  @inlinable
  package init(_ query: Range<Int>) {
    rest = query
    isAtEnd = query.isEmpty
  }

  /// The next pair of the query, a range of `bytes`; empty between two `&`.
  @inlinable @inline(__always)
  package mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
    guard !isAtEnd else { return nil }
    let start = rest.lowerBound
    let end = bytes.first(UInt8(ascii: "&"), in: rest) ?? rest.upperBound
    isAtEnd = end == rest.upperBound
    rest = Swift.min(end + 1, rest.upperBound)..<rest.upperBound
    return start..<end
  }

  /// Compares the key of a pair, which ends before its first `=`, with `name`. Percent escapes are decoded once; `+` and
  /// malformed escapes stay as they are.
  @inlinable @inline(__always)
  package static func match(_ bytes: Span<UInt8>, keyOf pair: Range<Int>, _ name: borrowing ShortText) -> KeyMatch {
    // An escape makes a key longer.
    guard pair.count >= name.count else { return .different }
    let end = pair.lowerBound &+ name.count
    if bytes.has(name, at: pair.lowerBound..<end), isEnd(bytes, end, ofKeyIn: pair) { return .literal }
    return isDecoded(bytes, keyOf: pair, name) ? .percentEncoded : .different
  }

  @usableFromInline
  static func isDecoded(_ bytes: Span<UInt8>, keyOf pair: Range<Int>, _ name: borrowing ShortText) -> Bool {
    var index = pair.lowerBound
    for position in 0..<name.count {
      guard index < pair.upperBound else { return false }
      var byte = bytes[index]
      if byte == UInt8(ascii: "%"), let decoded = percentDecoded(bytes, index + 1..<pair.upperBound) {
        byte = decoded
        index += 2
      }
      guard byte == name.byte(at: position) else { return false }
      index += 1
    }
    return isEnd(bytes, index, ofKeyIn: pair)
  }

  @inlinable @inline(__always)
  static func isEnd(_ bytes: Span<UInt8>, _ index: Int, ofKeyIn pair: Range<Int>) -> Bool {
    index == pair.upperBound || bytes[index] == UInt8(ascii: "=")
  }
}
