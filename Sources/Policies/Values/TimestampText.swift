extension UnixSeconds: CustomStringConvertible {
  /// RFC 3339 in UTC, such as `2027-01-01T00:00:00Z`.
  package var description: String {
    let day = (rawValue - remainder(of: rawValue, by: 86_400)) / 86_400
    let second = remainder(of: rawValue, by: 86_400)
    let (year, month, dayOfMonth) = civil(day)
    let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))"
    return "\(date)T\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))Z"
  }
}

/// Never negative.
private func remainder(of value: Int64, by divisor: Int64) -> Int64 {
  (value % divisor + divisor) % divisor
}

private func padded(_ value: Int64, _ width: Int) -> String {
  String(repeating: "0", count: max(0, width - "\(value)".count)) + "\(value)"
}

/// The date of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin in March there, so that
/// the leap day comes last.
private func civil(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
  let shifted = day + 719_468
  let dayOfEra = remainder(of: shifted, by: 146_097)
  let era = (shifted - dayOfEra) / 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
}
