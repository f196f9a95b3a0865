import FoundationEssentials

/// The `Date` line of an answer (RFC 9110 §5.6.7), written anew once a second.
struct HTTPDate {
  private var second: Int64 = .min
  private var bytes: [UInt8] = []

  mutating func line(at unixSecond: Int64) -> [UInt8] {
    if second != unixSecond {
      second = unixSecond
      let date = Date(timeIntervalSince1970: Double(unixSecond))
      bytes = Array("Date: \(date.formatted(.http))\r\n".utf8)
    }
    return bytes
  }
}
