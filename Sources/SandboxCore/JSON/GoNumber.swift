/// Converts JSON numbers through Go's float64, as Core does for numbers in `meta_data`.
enum GoNumber {
  /// The number as Go formats it, with at most 17 significant digits; nil if it overflows float64.
  static func text(_ number: String) -> String? {
    guard let value = Double(number), value.isFinite else { return nil }
    return text(value)
  }

  /// The shortest digits that round-trip, without an exponent from 1e-6 up to 1e21, as in `encoding/json`.
  static func text(_ value: Double) -> String {
    guard value != 0 else { return value.sign == .minus ? "-0" : "0" }
    let sign = value < 0 ? "-" : ""
    let (digits, point) = shortest(value.magnitude)
    guard value.magnitude >= 1e-6, value.magnitude < 1e21 else {
      let exponent = point - 1
      let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
      return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + String(exponent.magnitude)
    }
    if point <= 0 { return sign + "0." + zeros(-point) + digits }
    if point >= digits.count { return sign + digits + zeros(point - digits.count) }
    return sign + digits.prefix(point) + "." + digits.dropFirst(point)
  }

  /// The digits without leading or trailing zeros, and the position of the decimal point in them.
  private static func shortest(_ value: Double) -> (digits: String, point: Int) {
    let parts = value.description.split(separator: "e")
    let mantissa = parts[0].split(separator: ".")
    let whole = mantissa[0]
    let all = mantissa.joined()
    let leading = all.prefix { $0 == "0" }.count
    let significant = all.dropFirst(leading)
    let trailing = significant.reversed().prefix { $0 == "0" }.count
    let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    return (String(significant.dropLast(trailing)), whole.count - leading + exponent)
  }

  private static func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }
}

extension JSONValue {
  /// The value after decoding and encoding as a Go `map[string]interface{}`: members sorted, the last of equal keys
  /// kept, numbers converted through float64.
  func throughGoMap() throws(GoNumberOutOfRange) -> JSONValue {
    switch self {
    case .null, .bool, .string: return self
    case .number(let text):
      guard let kept = GoNumber.text(text) else { throw GoNumberOutOfRange(number: text) }
      return .number(kept)
    case .array(let elements):
      var kept: [JSONValue] = []
      for element in elements { kept.append(try element.throughGoMap()) }
      return .array(kept)
    case .object(let members):
      return .object(try Self.sorted(members))
    }
  }

  private static func sorted(_ members: [JSONMember]) throws(GoNumberOutOfRange) -> [JSONMember] {
    var last: [[UInt8]: JSONMember] = [:]
    for member in members { last[Array(member.key.utf8)] = JSONMember(member.key, try member.value.throughGoMap()) }
    return last.values.sorted { $0.key.precedesByBytes($1.key) }
  }
}

struct GoNumberOutOfRange: Error {
  let number: String
}
