import Dates
import FoundationEssentials

/// A time in whole seconds since 1970-01-01T00:00:00Z.
package struct UnixSeconds: Hashable, Comparable, Sendable {
  package let rawValue: Int64

  package init(_ rawValue: Int64) {
    self.rawValue = rawValue
  }

  package static var now: UnixSeconds { UnixSeconds(Int64(Date().timeIntervalSince1970)) }

  package static func < (left: UnixSeconds, right: UnixSeconds) -> Bool {
    left.rawValue < right.rawValue
  }

  /// The standard library's calls `<` as a witness: 20 instructions more for each request with a token that expires.
  package static func <= (left: UnixSeconds, right: UnixSeconds) -> Bool {
    left.rawValue <= right.rawValue
  }
}

extension UnixSeconds: CustomStringConvertible {
  /// RFC 3339 in UTC, such as `2027-01-01T00:00:00Z`.
  package var description: String { CivilTime(secondsSince1970: rawValue).rfc3339 }
}

extension UnixSeconds {
  /// Parses an RFC 3339 §5.6 date-time and drops a fraction of a second; nil for other text and for invalid dates.
  package init?(rfc3339 text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, matches(bytes[..<19], "0000-00-00T00:00:00"), let zone = zone(bytes[19...]) else {
      return nil
    }
    let number = { (range: Range<Int>) in bytes[range].reduce(0) { value, digit in value * 10 + Int(digit & 15) } }
    let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
    guard let date = CivilDate(year: number(0..<4), month: number(5..<7), day: number(8..<10)), hour < 24, minute < 60,
      second < 60
    else { return nil }
    self.init(Int64(date.daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second - zone))
  }
}

/// The offset from UTC in seconds; drops a fraction before it.
private func zone(_ suffix: ArraySlice<UInt8>) -> Int? {
  var rest = suffix
  if rest.first == UInt8(ascii: ".") {
    let fraction = rest.dropFirst().prefix(while: isDecimalDigit)
    guard !fraction.isEmpty else { return nil }
    rest = rest[fraction.endIndex...]
  }
  if rest.count == 1, rest.first == UInt8(ascii: "Z") || rest.first == UInt8(ascii: "z") { return 0 }
  let sign = rest.first == UInt8(ascii: "-") ? -1 : 1
  guard sign == -1 || rest.first == UInt8(ascii: "+"), matches(rest.dropFirst(), "00:00") else { return nil }
  let digits = rest.dropFirst().filter(isDecimalDigit).map { digit in Int(digit & 15) }
  let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
  guard hours < 24, minutes < 60 else { return nil }
  return sign * (hours * 3600 + minutes * 60)
}

/// Whether the text has a digit wherever the shape has a 0, and the same byte elsewhere; `T` matches `t`, too.
private func matches(_ bytes: ArraySlice<UInt8>, _ shape: String) -> Bool {
  bytes.count == shape.utf8.count
    && zip(bytes, shape.utf8).allSatisfy { byte, wanted in
      wanted == UInt8(ascii: "0")
        ? isDecimalDigit(byte) : byte == wanted || byte == UInt8(ascii: "t") && wanted == UInt8(ascii: "T")
    }
}
