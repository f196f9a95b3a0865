import Dates
import HTTP1

/// The `Date` line of a response, written anew once a second.
struct HTTPDate {
  private var second: Int64 = .min
  private var bytes: [UInt8] = []

  mutating func line(at unixSecond: Int64) -> [UInt8] {
    if second != unixSecond {
      second = unixSecond
      bytes = [UInt8](fields: ["Date": Array(CivilTime(secondsSince1970: unixSecond).httpDate.utf8)])
    }
    return bytes
  }
}
