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
    let (days, time) = second.quotientAndRemainder(dividingBy: 86_400)
    let (year, month, day) = Self.date(days)
    let out = ByteBuffer(capacity: 32)
    for (number, count, mark) in [
      (year, 4, "-"), (month, 2, "-"), (day, 2, "T"), (time / 3600, 2, ":"), (time / 60 % 60, 2, ":"),
      (time % 60, 2, "."),
    ] as [(Int64, Int, StaticString)] {
      out.append(digits: UInt64(number), count: count)
      out.append(mark)
    }
    text.removeAll(keepingCapacity: true)
    out.move(to: &text)
  }

  /// Gregorian date of a day since 1970, by years that begin in March, so that the leap day is the last.
  private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
