/// A day of the proleptic Gregorian calendar.
package struct CivilDate: Equatable, Sendable {
  package let year: Int
  /// 1 to 12.
  package let month: Int
  /// 1 to 31.
  package let day: Int

  /// Nil if the day does not exist.
  package init?(year: Int, month: Int, day: Int) {
    guard (1...12).contains(month), day >= 1 else { return nil }
    (self.year, self.month, self.day) = (year, month, day)
    // A day beyond the end of its month converts to a date in the next one.
    guard CivilDate(daysSince1970: daysSince1970) == self else { return nil }
  }

  /// Howard Hinnant's `civil_from_days`: its years begin in March, so that the leap day comes last.
  package init(daysSince1970 days: Int) {
    let shifted = days + Self.daysFromMarchOfYear0To1970
    let dayOfEra = remainder(of: shifted, by: Self.daysInEra)
    let era = (shifted - dayOfEra) / Self.daysInEra
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
  }

  /// Days since 1970-01-01; negative before it.
  package var daysSince1970: Int {
    let marchYear = month > 2 ? year : year - 1
    let yearOfEra = remainder(of: marchYear, by: 400)
    let era = (marchYear - yearOfEra) / 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let dayOfEra = 365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * Self.daysInEra + dayOfEra - Self.daysFromMarchOfYear0To1970
  }

  /// The day of the week; 0 is Sunday.
  package var weekday: Int { remainder(of: daysSince1970 + 4, by: 7) }

  /// An era is 400 years, the period of the calendar.
  private static let daysInEra = 146_097
  private static let daysFromMarchOfYear0To1970 = 719_468
}

/// The remainder of floored division: never negative.
func remainder(of value: Int, by divisor: Int) -> Int {
  (value % divisor + divisor) % divisor
}
