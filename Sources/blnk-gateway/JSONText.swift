import Policies

/// JSON texts put together by hand, for reports of any length and with little code.
enum JSONText {
  /// - Parameter members: values are JSON texts; those that are nil are left out.
  static func object(_ members: KeyValuePairs<String, String?>) -> String {
    let texts = members.compactMap { key, value in value.map { "\"\(key)\":\($0)" } }
    return "{\(texts.joined(separator: ","))}"
  }

  static func list(_ texts: [String]) -> String { "[\(texts.joined(separator: ","))]" }

  static func strings(_ texts: [String]) -> String { list(texts.map(escapedJSONString)) }
}
