import Dates
import Testing

struct CivilTimeTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
    (784_111_777, "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
    (951_782_399, "2000-02-28T23:59:59Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
    (951_782_400, "2000-02-29T00:00:00Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
    (4_107_542_400, "2100-03-01T00:00:00Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
    (-1, "1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
    (-62_135_596_800, "0001-01-01T00:00:00Z", "Mon, 01 Jan 0001 00:00:00 GMT"),
  ])
  func `writes a time in the formats of RFC 3339 and HTTP`(seconds: Int64, rfc3339: String, httpDate: String) {
    let time = CivilTime(secondsSince1970: seconds)
    #expect(time.rfc3339 == rfc3339)
    #expect(time.httpDate == httpDate)
  }

  @Test func `counts consecutive days over all kinds of years`() throws {
    var before = CivilDate(daysSince1970: -719_600)
    for day in -719_599..<150_000 {
      let date = CivilDate(daysSince1970: day)
      let isNextDay = date.month == before.month && date.day == before.day + 1 && date.year == before.year
      let isNextMonth = date.day == 1 && date.month == before.month + 1 && date.year == before.year
      let isNextYear = date.day == 1 && date.month == 1 && before.month == 12 && date.year == before.year + 1
      try #require(isNextDay || isNextMonth || isNextYear)
      try #require(date.daysSince1970 == day)
      try #require(CivilDate(year: date.year, month: date.month, day: date.day) == date)
      before = date
    }
  }

  @Test(arguments: [
    (2026, 2, 29), (2100, 2, 29), (2024, 2, 30), (2026, 4, 31), (2026, 1, 32), (2026, 12, 32), (2026, 13, 1),
    (2026, 0, 1), (2026, 1, 0),
  ])
  func `rejects a day that does not exist`(year: Int, month: Int, day: Int) {
    #expect(CivilDate(year: year, month: month, day: day) == nil)
  }
}
