/// Numbers as text.
extension ByteWriter {
  /// The longest integer with its sign.
  @inlinable public static var decimalBytesMax: Int { 20 }
  /// The longest number of thousandths with its sign and decimal point.
  @inlinable public static var thousandthsBytesMax: Int { 21 }

  /// Appends a number as decimal text.
  @inlinable @inline(__always)
  public mutating func append(decimal value: Int) {
    // Half of the numbers in a log line have one digit.
    if (0...9).contains(value) { return append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)) }
    check(Self.decimalBytesMax)
    unsafe next = next.write(decimal: value)
  }

  /// Appends a number of thousandths as decimal text with three decimals.
  @inlinable @inline(__always)
  public mutating func append(thousandths value: Int) {
    check(Self.thousandthsBytesMax)
    unsafe next = next.write(thousandths: value)
  }

  /// Appends the last `count` decimal digits of `value`, at most 8, with leading zeros; 8 bytes must fit.
  @inlinable @inline(__always)
  public mutating func append(digits value: UInt64, count: Int) {
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: value % 100_000_000))
    append(words: [digits &>> UInt64(64 &- count &* 8)], bytes: count)
  }

  /// Appends `value` as 8 hexadecimal digits in lower case.
  @inlinable @inline(__always)
  public mutating func append(hex value: UInt32) { append(words: [UInt64(hexDigitsOf: value)]) }
}

extension ByteBuffer {
  /// Appends a number as decimal text.
  package func append(decimal value: Int) {
    write(atMost: ByteWriter.decimalBytesMax) { $0.append(decimal: value) }
  }

  /// Appends `value` as lower-case hexadecimal text without leading zeros.
  package func append(hex value: UInt64) {
    let digits = max(1, (64 - value.leadingZeroBitCount + 3) / 4)
    append(hex: value, digits: digits)
  }

  /// Appends the low `digits` hexadecimal digits of `value`, at most 16, in lower case.
  package func append(hex value: UInt64, digits: Int) {
    let left = value &<< UInt64(64 &- digits &* 4)
    let (high, low) = (UInt32(truncatingIfNeeded: left &>> 32), UInt32(truncatingIfNeeded: left))
    write(atMost: 16) { $0.append(words: [UInt64(hexDigitsOf: high), UInt64(hexDigitsOf: low)], bytes: digits) }
  }
}

/// Each function writes a number where the longest fits and returns the end of its text.
extension UnsafeMutableRawPointer {
  @usableFromInline @inline(never)
  func write(decimal value: Int) -> Self {
    guard let value = UInt32(exactly: value), value < 10_000 else { return unsafe write(long: value) }
    let digits = UInt64(digitsOfFours: UInt64(value))
    let zeros = digits.leadingZeroBitsOfFour
    let text = UInt32(truncatingIfNeeded: digits) &>> UInt32(truncatingIfNeeded: zeros)
    unsafe storeBytes(of: text.littleEndian, as: UInt32.self)
    return unsafe self + (4 &- zeros &>> 3)
  }

  /// Both parts are written as four digits; the first digit of the fraction, always a zero, becomes the decimal point. Most
  /// durations are below ten seconds.
  @usableFromInline @inline(never)
  func write(thousandths value: Int) -> Self {
    guard let value = UInt32(exactly: value), value < 10_000_000 else {
      return unsafe write(longThousandths: value)
    }
    let whole = value / 1_000
    let rest = value &- whole &* 1_000
    let digits = UInt64(digitsOfFours: UInt64(whole) | UInt64(rest) &<< 32) ^ UInt64.zeroToPoint &<< 32
    let zeros = digits.leadingZeroBitsOfFour
    unsafe storeBytes(of: (digits &>> UInt64(zeros)).littleEndian, as: UInt64.self)
    return unsafe self + (8 &- zeros &>> 3)
  }

  @inline(never)
  private func write(long value: Int) -> Self {
    if value < 0 { unsafe storeBytes(of: UInt8(ascii: "-"), as: UInt8.self) }
    return unsafe (value < 0 ? self + 1 : self).write(value.magnitude)
  }

  private func write(_ magnitude: UInt) -> Self {
    let (high, low) = magnitude.quotientAndRemainder(dividingBy: 100_000_000)
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: low))
    guard high == 0 else {
      let end = unsafe write(high)
      unsafe end.storeBytes(of: digits.littleEndian, as: UInt64.self)
      return unsafe end + 8
    }
    // Drops leading zeros, but keeps the last digit.
    let zeros = (digits & 0x000f_0f0f_0f0f_0f0f | 1 &<< 56).trailingZeroBitCount & ~7
    unsafe storeBytes(of: (digits &>> UInt64(zeros)).littleEndian, as: UInt64.self)
    return unsafe self + (8 &- zeros &>> 3)
  }

  @inline(never)
  private func write(longThousandths value: Int) -> Self {
    if value < 0 { unsafe storeBytes(of: UInt8(ascii: "-"), as: UInt8.self) }
    let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1_000)
    let point = unsafe (value < 0 ? self + 1 : self).write(whole)
    let digits = UInt64(digitsOfFours: UInt64(rest)) ^ UInt64.zeroToPoint
    unsafe point.storeBytes(of: UInt32(truncatingIfNeeded: digits).littleEndian, as: UInt32.self)
    return unsafe point + 4
  }
}

extension UInt64 {
  /// The bits that leading zeros take among the first four digits; the fourth always counts as a digit.
  fileprivate var leadingZeroBitsOfFour: Int { (self & 0x000f_0f0f | 0x0100_0000).trailingZeroBitCount & ~7 }

  /// XORed, turns a zero in the lowest byte into a decimal point.
  fileprivate static var zeroToPoint: UInt64 { UInt64(UInt8(ascii: "0") ^ UInt8(ascii: ".")) }
}
