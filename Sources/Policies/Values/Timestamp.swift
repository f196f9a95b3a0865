import Dates

extension UnixSeconds {
  /// An RFC 3339 §5.6 date-time; a fraction of a second is dropped; nil for other text and for days that do not exist.
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

/// The offset from UTC in seconds, after a fraction that is dropped.
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

/// A digit wherever the shape has a 0, and the same letter (in either case) elsewhere.
private func matches(_ bytes: ArraySlice<UInt8>, _ shape: String) -> Bool {
  bytes.count == shape.utf8.count
    && zip(bytes, shape.utf8).allSatisfy { byte, wanted in
      wanted == UInt8(ascii: "0")
        ? isDecimalDigit(byte) : byte == wanted || byte == UInt8(ascii: "t") && wanted == UInt8(ascii: "T")
    }
}
