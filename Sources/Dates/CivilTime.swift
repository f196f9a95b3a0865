/// A date and time in UTC, to the second.
package struct CivilTime: Equatable, Sendable {
  package let date: CivilDate
  package let hour: Int
  package let minute: Int
  package let second: Int

  package init(secondsSince1970 seconds: Int64) {
    let secondOfDay = remainder(of: Int(seconds), by: 86_400)
    date = CivilDate(daysSince1970: (Int(seconds) - secondOfDay) / 86_400)
    hour = secondOfDay / 3600
    minute = secondOfDay / 60 % 60
    second = secondOfDay % 60
  }

  /// RFC 3339 §5.6, such as `2027-01-01T00:00:00Z`.
  package var rfc3339: String {
    let day = "\(padded(date.year, to: 4))-\(padded(date.month, to: 2))-\(padded(date.day, to: 2))"
    return "\(day)T\(clock)Z"
  }

  /// RFC 9110 §5.6.7, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
  package var httpDate: String {
    let day = "\(Self.days[date.weekday]), \(padded(date.day, to: 2)) \(Self.months[date.month - 1])"
    return "\(day) \(padded(date.year, to: 4)) \(clock) GMT"
  }

  private var clock: String { "\(padded(hour, to: 2)):\(padded(minute, to: 2)):\(padded(second, to: 2))" }

  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}

private func padded(_ value: Int, to width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
