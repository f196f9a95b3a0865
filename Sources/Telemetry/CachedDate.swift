package import Bytes
import Dates

/// Writes wall-clock time in UTC as in RFC 3339; everything except the microseconds is computed once per second.
package struct CachedDate {
  /// The capacity that `append` needs.
  package static let bytesMax = 32

  package init() {}

  private var second = Int64.min
  /// `2026-11-20T17:06:09.` in words, the first byte of each lowest.
  private var words = InlineArray<3, UInt64>(repeating: 0)
  private static let wordBytes = 20

  /// - Parameter time: microseconds since 1970; a negative time is written as 1970.
  @inline(__always)
  package mutating func append(_ time: Int64, to out: inout ByteWriter) {
    let (second, fraction) = max(time, 0).quotientAndRemainder(dividingBy: 1_000_000)
    if second != self.second {
      self.second = second
      render(second)
    }
    out.append(words: words, bytes: Self.wordBytes)
    out.append(digits: UInt64(fraction), count: 6)
    out.append("Z")
  }

  @inline(never)
  private mutating func render(_ second: Int64) {
    let time = CivilTime(secondsSince1970: second)
    let text = ByteBuffer(capacity: Self.bytesMax)
    text.write(atMost: Self.bytesMax) { out in
      for (number, count, separator) in [
        (time.date.year, 4, "-"), (time.date.month, 2, "-"), (time.date.day, 2, "T"), (time.hour, 2, ":"),
        (time.minute, 2, ":"), (time.second, 2, "."),
      ] as [(Int, Int, StaticString)] {
        out.append(digits: UInt64(number), count: count)
        out.append(separator)
      }
    }
    words = InlineArray(repeating: 0)
    for index in 0..<Self.wordBytes { words[index / 8] |= UInt64(text[index]) << UInt64(index % 8 * 8) }
  }
}
