import Dates
import Reactor

/// Wall clock as RFC 3339 in UTC; everything but the microseconds is computed once a second.
struct CachedDate {
  private var second = Int64.min
  /// `2026-11-20T17:06:09.`
  private var text: [UInt8] = []

  /// - Parameter time: microseconds since 1970; earlier than that is written as 1970.
  mutating func append(_ time: Int64, to out: ByteBuffer) {
    let (second, fraction) = max(time, 0).quotientAndRemainder(dividingBy: 1_000_000)
    if second != self.second {
      self.second = second
      render(second)
    }
    out.append(text)
    out.append(digits: UInt64(fraction), count: 6)
    out.append("Z")
  }

  private mutating func render(_ second: Int64) {
    let time = CivilTime(secondsSince1970: second)
    let out = ByteBuffer(capacity: 32)
    for (number, count, mark) in [
      (time.date.year, 4, "-"), (time.date.month, 2, "-"), (time.date.day, 2, "T"), (time.hour, 2, ":"),
      (time.minute, 2, ":"), (time.second, 2, "."),
    ] as [(Int, Int, StaticString)] {
      out.append(digits: UInt64(number), count: count)
      out.append(mark)
    }
    text.removeAll(keepingCapacity: true)
    out.move(to: &text)
  }
}
