import Policies

/// Numbers, times and codes as operators read them.
enum StatusText {
  /// With one decimal if it is small.
  static func decimal(_ number: Double) -> String {
    guard number < 9.95, number > 0 else { return "\(Int64(min(number.rounded(), 1e18)))" }
    let tenths = Int((number * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  static func size(_ bytes: Int) -> String {
    var (number, unit) = (Double(bytes), "B")
    for next in ["kB", "MB", "GB", "TB"] where number >= 1_000 { (number, unit) = (number / 1_000, next) }
    return "\(decimal(number)) \(unit)"
  }

  static func duration(_ seconds: Int) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    return hours > 0 ? "\(hours) h \(minutes) min" : "\(minutes) min \(seconds % 60) s"
  }

  /// Date and time of an RFC 3339 text.
  static func time(_ text: String) -> String { String(text.prefix(19)).replacing("T", with: " ") }

  /// The three most frequent codes with their counts.
  static func codes(_ counts: [String: Int]) -> String {
    counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3)
      .map { "\(GatewayCode.short($0.key)) \($0.value)" }.joined(separator: ", ")
  }
}
