/// A text of at most 16 bytes in two words, so that comparing it is two loads and two comparisons.
@usableFromInline
package struct ShortText: Sendable {
  package static let bytesMax = 16

  @usableFromInline package let count: Int
  /// The first eight bytes, little-endian, zero-padded.
  @usableFromInline let first: UInt64
  @usableFromInline let second: UInt64

  package init(_ text: String) {
    let bytes = Array(text.utf8)
    precondition((1...Self.bytesMax).contains(bytes.count))
    count = bytes.count
    first = bytes.span.packed(0..<bytes.count)
    second = count > 8 ? bytes.span.packed(8..<bytes.count) : 0
  }

  @inlinable @inline(__always)
  func isAt(_ range: Range<Int>, of bytes: Span<UInt8>) -> Bool {
    guard range.count == count, bytes.packed(range) == first else { return false }
    return count <= 8 || bytes.packed(range.lowerBound &+ 8..<range.upperBound) == second
  }

  /// The byte at `index`, which must be below `count`.
  func byte(at index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: (index < 8 ? first : second) >> UInt64(index % 8 * 8))
  }
}

extension Span<UInt8> {
  /// Whether the bytes of `range` equal `text`, including case.
  @inlinable @inline(__always)
  package func has(_ text: borrowing ShortText, at range: Range<Int>) -> Bool { text.isAt(range, of: self) }

  /// Whether the bytes from `start` on are `text`, as far as they are there; `start` must not be beyond the end.
  package func mayHave(_ text: borrowing ShortText, at start: Int) -> Bool {
    for offset in 0..<Swift.min(text.count, count - start) where self[start + offset] != text.byte(at: offset) {
      return false
    }
    return true
  }

  /// Whether `range` begins with `text`, including case.
  package func begins(with text: borrowing ShortText, in range: Range<Int>) -> Bool {
    guard range.count >= text.count else { return false }
    return text.isAt(range.lowerBound..<range.lowerBound + text.count, of: self)
  }
}
