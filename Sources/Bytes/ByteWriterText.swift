/// Numbers as text.
extension ByteWriter {
  /// The longest number with its sign.
  @inlinable public static var decimalBytesMax: Int { 20 }
  /// The longest number of thousandths with its sign and its point.
  @inlinable public static var thousandthsBytesMax: Int { 21 }

  /// Appends a number as decimal text.
  @inlinable @inline(__always)
  public mutating func append(decimal value: Int) {
    // Every second one in a log line has one digit.
    if (0...9).contains(value) { return append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)) }
    check(Self.decimalBytesMax)
    unsafe next = next.write(decimal: value)
  }

  /// Appends a number of thousandths as decimal text with three digits behind the point.
  @inlinable @inline(__always)
  public mutating func append(thousandths value: Int) {
    check(Self.thousandthsBytesMax)
    unsafe next = next.write(thousandths: value)
  }

  /// Appends the last `count` decimal digits of `value`, at most 8, with zeros in front. 8 bytes must fit.
  @inlinable @inline(__always)
  public mutating func append(digits value: UInt64, count: Int) {
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: value % 100_000_000))
    append(words: [digits &>> UInt64(64 &- count &* 8)], bytes: count)
  }

  /// Appends `value` as 8 hexadecimal digits in lower case.
  @inlinable @inline(__always)
  public mutating func append(hex value: UInt32) { append(words: [UInt64(hexDigitsOf: value)]) }
}

/// Numbers, written where the longest fits; returned is the position behind.
extension UnsafeMutableRawPointer {
  @usableFromInline @inline(never)
  func write(decimal value: Int) -> Self {
    guard let value = UInt32(exactly: value), value < 10_000 else { return unsafe write(long: value) }
    let digits = UInt64(digitsOfFours: UInt64(value))
    let zeros = digits.zeroBitsInFrontOfFour
    let text = UInt32(truncatingIfNeeded: digits) &>> UInt32(truncatingIfNeeded: zeros)
    unsafe storeBytes(of: text.littleEndian, as: UInt32.self)
    return unsafe self + (4 &- zeros &>> 3)
  }

  /// Most durations are below ten seconds: four digits of either part, and the first one of the rest, a zero, becomes
  /// the point.
  @usableFromInline @inline(never)
  func write(thousandths value: Int) -> Self {
    guard let value = UInt32(exactly: value), value < 10_000_000 else {
      return unsafe write(longThousandths: value)
    }
    let whole = value / 1_000
    let rest = value &- whole &* 1_000
    let digits = UInt64(digitsOfFours: UInt64(whole) | UInt64(rest) &<< 32) ^ UInt64.zeroToPoint &<< 32
    let zeros = digits.zeroBitsInFrontOfFour
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
    // All but the last digit may be zeros that are not written.
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
  /// How many bits the zeros among the first four digits take that are not written: never all.
  fileprivate var zeroBitsInFrontOfFour: Int { (self & 0x000f_0f0f | 0x0100_0000).trailingZeroBitCount & ~7 }

  /// What turns a zero in the lowest byte into a point.
  fileprivate static var zeroToPoint: UInt64 { UInt64(UInt8(ascii: "0") ^ UInt8(ascii: ".")) }
}
