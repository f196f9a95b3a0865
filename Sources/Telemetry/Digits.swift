func appendDecimal(_ number: UInt64, to out: inout [UInt8]) {
  var count = 1
  var rest = number
  while rest >= 10 {
    rest /= 10
    count += 1
  }
  appendDigits(number, count: count, to: &out)
}

/// Lower-case digits, with leading zeros.
func appendHex(_ number: UInt64, digits: Int, to out: inout [UInt8]) {
  for shift in stride(from: (digits - 1) * 4, through: 0, by: -4) {
    out.append(JSONText.hexDigit(UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 0xF))
  }
}

/// The last `count` decimal digits, with leading zeros.
func appendDigits(_ number: UInt64, count: Int, to out: inout [UInt8]) {
  var divisor: UInt64 = 1
  for _ in 1..<count { divisor *= 10 }
  while divisor > 0 {
    out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
    divisor /= 10
  }
}
