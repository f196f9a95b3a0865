/// A day of the Gregorian calendar, which goes on into the past before its own beginning.
package struct CivilDate: Equatable, Sendable {
  package let year: Int
  /// 1 to 12.
  package let month: Int
  /// 1 to 31.
  package let day: Int

  /// nil for a day that does not exist.
  package init?(year: Int, month: Int, day: Int) {
    guard (1...12).contains(month), day >= 1 else { return nil }
    (self.year, self.month, self.day) = (year, month, day)
    // The 31st of a month that lacks it counts on into the next.
    guard CivilDate(daysSince1970: daysSince1970) == self else { return nil }
  }

  /// By Howard Hinnant's `civil_from_days`: years begin in March there, so that the leap day comes last.
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

  /// Negative before.
  package var daysSince1970: Int {
    let marchYear = month > 2 ? year : year - 1
    let yearOfEra = remainder(of: marchYear, by: 400)
    let era = (marchYear - yearOfEra) / 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let dayOfEra = 365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * Self.daysInEra + dayOfEra - Self.daysFromMarchOfYear0To1970
  }

  /// 0 is Sunday.
  package var weekday: Int { remainder(of: daysSince1970 + 4, by: 7) }

  /// An era is 400 years, after which the calendar repeats itself.
  private static let daysInEra = 146_097
  private static let daysFromMarchOfYear0To1970 = 719_468
}

/// Never negative.
func remainder(of value: Int, by divisor: Int) -> Int {
  (value % divisor + divisor) % divisor
}
