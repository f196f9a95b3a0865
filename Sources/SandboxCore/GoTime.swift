import Dates

/// A point in time as Core reads and writes it: RFC 3339 in UTC.
struct GoTime: Comparable, Hashable {
  /// Nanoseconds since 1970.
  let nanoseconds: Int64

  /// Go's zero time in a response.
  static let zeroText = "0001-01-01T00:00:00Z"

  static func < (left: GoTime, right: GoTime) -> Bool { left.nanoseconds < right.nanoseconds }

  /// The precision of PostgreSQL timestamps.
  var roundedToMicroseconds: GoTime { GoTime(nanoseconds: (nanoseconds + 500) / 1000 * 1000) }

  /// For example `2026-11-20T17:06:09.4861Z`; the fraction has no trailing zeros.
  var text: String {
    let fraction = nanoseconds % 1_000_000_000
    guard fraction > 0 else { return wholeSecondsText }
    let digits = String(1_000_000_000 + fraction).dropFirst()
    let trailing = digits.reversed().prefix { $0 == "0" }.count
    return wholeSecondsText.dropLast() + "." + digits.dropLast(trailing) + "Z"
  }

  var wholeSecondsText: String { CivilTime(secondsSince1970: nanoseconds / 1_000_000_000).rfc3339 }
}

/// An RFC 3339 timestamp, parsed in the order in which Go's `time.Parse` walks its layout.
struct GoTimeText {
  /// Whole seconds since 1970.
  let seconds: Int
  /// Without the fraction, in the original time zone.
  let wholeSecondsText: String

  private static let layout = "2006-01-02T15:04:05Z07:00"

  init(_ text: String) throws(GoTimeFault) {
    var rest = Substring(text)
    func fault(_ what: String) -> GoTimeFault {
      GoTimeFault(message: "parsing time \(quoted(text)) as \"\(Self.layout)\": \(what)")
    }
    func digits(_ count: Int, _ element: String) throws(GoTimeFault) -> Int {
      let part = rest.prefix(count)
      guard part.utf8.count == count, part.utf8.allSatisfy(\.isDigit), let value = Int(part) else {
        throw fault("cannot parse \(quoted(rest)) as \"\(element)\"")
      }
      rest = rest.dropFirst(count)
      return value
    }
    func literal(_ mark: String) throws(GoTimeFault) {
      guard rest.hasPrefix(mark) else { throw fault("cannot parse \(quoted(rest)) as \"\(mark)\"") }
      rest = rest.dropFirst()
    }
    let year = try digits(4, "2006")
    try literal("-")
    let month = try digits(2, "01")
    guard (1...12).contains(month) else { throw fault("month out of range") }
    try literal("-")
    let day = try digits(2, "02")
    try literal("T")
    let hour = try digits(2, "15")
    guard hour < 24 else { throw fault("hour out of range") }
    try literal(":")
    let minute = try digits(2, "04")
    guard minute < 60 else { throw fault("minute out of range") }
    try literal(":")
    let second = try digits(2, "05")
    guard second < 60 else { throw fault("second out of range") }
    if rest.hasPrefix("."), rest.dropFirst().utf8.first?.isDigit == true {
      rest = rest.dropFirst().drop { $0.isASCII && $0.isNumber }
    }
    let zone = rest
    var offset = 0
    if rest.hasPrefix("Z") {
      rest = rest.dropFirst()
    } else {
      let parts = zone.prefix(6).utf8.map(\.self)
      guard parts.count == 6, parts[0] == UInt8(ascii: "+") || parts[0] == UInt8(ascii: "-"),
        parts[3] == UInt8(ascii: ":"), [1, 2, 4, 5].allSatisfy({ parts[$0].isDigit }),
        let hours = Int(zone.dropFirst().prefix(2)), let minutes = Int(zone.dropFirst(4).prefix(2)),
        hours < 25, minutes < 60
      else { throw fault("cannot parse \(quoted(zone)) as \"Z07:00\"") }
      offset = (hours * 60 + minutes) * (parts[0] == UInt8(ascii: "-") ? -60 : 60)
      rest = rest.dropFirst(6)
    }
    guard rest.isEmpty else { throw fault("extra text: \(quoted(rest))") }
    guard let date = CivilDate(year: year, month: month, day: day) else { throw fault("day out of range") }
    wholeSecondsText = String(text.prefix(19) + (offset == 0 ? "Z" : zone))
    seconds = date.daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second - offset
  }
}

struct GoTimeFault: Error {
  let message: String
}

private func quoted(_ text: some StringProtocol) -> String {
  String(decoding: JSONValue.string(String(text)).bytes, as: UTF8.self)
}
