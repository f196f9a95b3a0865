/// One condition on a field, from a `POST …/filter` body or the query of a list.
struct Filter {
  enum Operator: String, CaseIterable {
    case eq, ne, gt, gte, lt, lte
    case isIn = "in"
    case between, like, ilike
    case isNull = "isnull"
    case isNotNull = "isnotnull"
  }

  let field: String
  let operation: Operator
  /// One for most operators, two for `between`, any number for `in`.
  let values: [JSONValue]

  static let operatorNames = Operator.allCases.map(\.rawValue).joined(separator: ", ")

  func matches(_ record: JSONValue) -> Bool {
    let value = record[field] ?? .null
    let order = values.map { FilterOrder.of(value, $0) }
    return switch operation {
    case .eq: order.first == .same
    case .ne: order.first.map { $0 == .less || $0 == .greater } ?? false
    case .gt: order.first == .greater
    case .gte: order.first == .greater || order.first == .same
    case .lt: order.first == .less
    case .lte: order.first == .less || order.first == .same
    case .isIn: order.contains(.same)
    case .between: order.count == 2 && [.greater, .same].contains(order[0]) && [.less, .same].contains(order[1])
    case .like: SQLPattern(values.first?.plainText ?? "").matches(value.plainText)
    case .ilike: SQLPattern((values.first?.plainText ?? "").lowercased()).matches(value.plainText.lowercased())
    case .isNull: value.isAbsent
    case .isNotNull: !value.isAbsent
    }
  }
}

/// The order of two values: times and numbers are compared by value, everything else byte by byte.
enum FilterOrder {
  case less, same, greater, none

  static func of(_ left: JSONValue, _ right: JSONValue) -> FilterOrder {
    if left.isAbsent || right == .null { return .none }
    if case .number(let number) = left {
      guard let left = Double(number), let right = Double(right.plainText) else { return .none }
      return order(left, right)
    }
    // A date without a time, as in `created_at_gte=2024-01-01`, means midnight UTC.
    if let left = try? GoTimeText(left.plainText) {
      guard let right = (try? GoTimeText(right.plainText)) ?? (try? GoTimeText(right.plainText + "T00:00:00Z")) else {
        return .none
      }
      return order(left.seconds, right.seconds)
    }
    if left.plainText.hasSameBytes(as: right.plainText) { return .same }
    return left.plainText.precedesByBytes(right.plainText) ? .less : .greater
  }

  private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> FilterOrder {
    left < right ? .less : left > right ? .greater : .same
  }
}

/// An SQL LIKE pattern: `%` matches any text, `_` matches one character.
struct SQLPattern {
  private let pattern: [Character]

  init(_ pattern: String) { self.pattern = Array(pattern) }

  /// Takes time proportional to pattern × text: on a mismatch, only the last `%` is extended by one character.
  func matches(_ text: String) -> Bool {
    let text = Array(text)
    var (inPattern, inText) = (0, 0)
    var lastPercent: (pattern: Int, text: Int)?
    while inText < text.count {
      if inPattern < pattern.count, pattern[inPattern] == "%" {
        lastPercent = (inPattern, inText)
        inPattern += 1
      } else if inPattern < pattern.count, pattern[inPattern] == "_" || pattern[inPattern] == text[inText] {
        inPattern += 1
        inText += 1
      } else if let percent = lastPercent {
        inPattern = percent.pattern + 1
        inText = percent.text + 1
        lastPercent = (percent.pattern, inText)
      } else {
        return false
      }
    }
    return pattern[inPattern...].allSatisfy { $0 == "%" }
  }
}

extension JSONValue {
  /// Whether the database column is NULL; Core stores an empty string as NULL, too.
  fileprivate var isAbsent: Bool { self == .null || self == "" }

  var plainText: String {
    switch self {
    case .string(let text), .number(let text): text
    case .bool(let value): value ? "true" : "false"
    case .null, .array, .object: ""
    }
  }
}
