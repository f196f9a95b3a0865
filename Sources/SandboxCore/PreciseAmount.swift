/// Exact decimal arithmetic for amounts in the smallest unit of a currency.
enum PreciseAmount {
  /// Nil if the number has more than 38 digits. A fraction of a unit is rounded half away from zero.
  static func value(_ number: String, times precision: Int) -> Int128? {
    guard let (digits, exponent) = decimal(number) else { return nil }
    let (scaled, isOverflow) = digits.multipliedReportingOverflow(by: Int128(precision))
    guard !isOverflow else { return nil }
    return shift(scaled, by: exponent)
  }

  /// A percentage of an amount, rounded down.
  static func share(_ percent: String, of total: Int128) -> Int128? {
    guard let (digits, exponent) = decimal(percent), digits >= 0 else { return nil }
    let (product, isOverflow) = total.multipliedReportingOverflow(by: digits)
    guard !isOverflow else { return nil }
    return shift(product, by: exponent - 2, rounds: false)
  }

  /// The digits as an integer, and the power of ten to multiply it by.
  private static func decimal(_ number: String) -> (digits: Int128, exponent: Int)? {
    let parts = number.lowercased().split(separator: "e", omittingEmptySubsequences: false)
    let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, mantissa.count <= 2, let digits = Int128(mantissa.joined()),
      let exponent = parts.count > 1 ? Int(parts[1]) : 0, (-400...400).contains(exponent)
    else { return nil }
    return (digits, exponent - (mantissa.count > 1 ? mantissa[1].count : 0))
  }

  private static func shift(_ number: Int128, by exponent: Int, rounds: Bool = true) -> Int128? {
    var number = number
    guard number != 0 else { return 0 }
    for _ in 0..<max(exponent, 0) {
      let (next, isOverflow) = number.multipliedReportingOverflow(by: 10)
      guard !isOverflow else { return nil }
      number = next
    }
    for step in 0..<max(-exponent, 0) {
      let isLast = step == -exponent - 1
      let (quotient, rest) = number.quotientAndRemainder(dividingBy: 10)
      number = quotient + (isLast && rounds ? (rest >= 5 ? 1 : rest <= -5 ? -1 : 0) : 0)
    }
    return number
  }
}
