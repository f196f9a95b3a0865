import FoundationEssentials

/// The `Date` line of an answer (RFC 9110 §5.6.7), written anew once a second.
struct HTTPDate {
  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  private var second: Int64 = .min
  private var bytes: [UInt8] = []
  private let calendar: Calendar

  init() {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    self.calendar = calendar
  }

  mutating func line(at unixSecond: Int64) -> [UInt8] {
    if second != unixSecond {
      second = unixSecond
      bytes = Array("Date: \(text(Date(timeIntervalSince1970: Double(unixSecond))))\r\n".utf8)
    }
    return bytes
  }

  private func text(_ date: Date) -> String {
    let parts = calendar.dateComponents([.year, .month, .day, .weekday, .hour, .minute, .second], from: date)
    guard let year = parts.year, let month = parts.month, let day = parts.day, let weekday = parts.weekday,
      let hour = parts.hour, let minute = parts.minute, let second = parts.second
    else { preconditionFailure("a date without its parts") }
    let pad = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
    return "\(Self.days[weekday - 1]), \(pad(day)) \(Self.months[month - 1]) \(year) "
      + "\(pad(hour)):\(pad(minute)):\(pad(second)) GMT"
  }
}
