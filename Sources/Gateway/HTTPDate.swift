import Dates

/// The `Date` line of an answer, written anew once a second.
struct HTTPDate {
  private var second: Int64 = .min
  private var bytes: [UInt8] = []

  mutating func line(at unixSecond: Int64) -> [UInt8] {
    if second != unixSecond {
      second = unixSecond
      bytes = Array("Date: \(CivilTime(secondsSince1970: unixSecond).httpDate)\r\n".utf8)
    }
    return bytes
  }
}
