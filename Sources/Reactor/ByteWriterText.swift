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
    unsafe next = Self.write(decimal: value, at: next)
  }

  /// Appends a number of thousandths as decimal text with three digits behind the point.
  @inlinable @inline(__always)
  public mutating func append(thousandths value: Int) {
    check(Self.thousandthsBytesMax)
    unsafe next = Self.write(thousandths: value, at: next)
  }

  /// Appends the last `count` decimal digits of `value`, at most 8, with zeros in front. There must be room for 8.
  @inlinable @inline(__always)
  public mutating func append(digits value: UInt64, count: Int) {
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: value % 100_000_000))
    append(words: [digits &>> UInt64(64 &- count &* 8)], bytes: count)
  }

  /// Appends `value` as 8 hexadecimal digits in lower case.
  @inlinable @inline(__always)
  public mutating func append(hex value: UInt32) { append(words: [UInt64(hexDigitsOf: value)]) }
}

/// Numbers, at a place where there is room for the longest.
extension ByteWriter {
  @usableFromInline @inline(never)
  static func write(decimal value: Int, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    guard let value = UInt32(exactly: value), value < 10_000 else { return unsafe write(long: value, at: place) }
    let digits = UInt64(digitsOfFours: UInt64(value))
    let zeros = zerosInFront(ofFour: digits)
    let text = UInt32(truncatingIfNeeded: digits) &>> UInt32(truncatingIfNeeded: zeros)
    unsafe place.storeBytes(of: text.littleEndian, as: UInt32.self)
    return unsafe place + (4 &- zeros &>> 3)
  }

  /// Most durations are below ten seconds: four digits of either part, and the first one of the rest, a zero, becomes
  /// the point.
  @usableFromInline @inline(never)
  static func write(thousandths value: Int, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    guard let value = UInt32(exactly: value), value < 10_000_000 else {
      return unsafe write(longThousandths: value, at: place)
    }
    let whole = value / 1_000
    let rest = value &- whole &* 1_000
    let digits = UInt64(digitsOfFours: UInt64(whole) | UInt64(rest) &<< 32) ^ zeroToPoint &<< 32
    let zeros = zerosInFront(ofFour: digits)
    unsafe place.storeBytes(of: (digits &>> UInt64(zeros)).littleEndian, as: UInt64.self)
    return unsafe place + (8 &- zeros &>> 3)
  }

  /// How many bits the zeros among the first four digits take that are not written: never all.
  @inline(__always)
  private static func zerosInFront(ofFour digits: UInt64) -> Int {
    (digits & 0x000f_0f0f | 0x0100_0000).trailingZeroBitCount & ~7
  }

  /// What turns a zero in the lowest byte into a point.
  private static var zeroToPoint: UInt64 { UInt64(UInt8(ascii: "0") ^ UInt8(ascii: ".")) }

  @inline(never)
  private static func write(long value: Int, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    if value < 0 { unsafe place.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self) }
    return unsafe write(value.magnitude, at: value < 0 ? place + 1 : place)
  }

  private static func write(_ magnitude: UInt, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    let (high, low) = magnitude.quotientAndRemainder(dividingBy: 100_000_000)
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: low))
    guard high == 0 else {
      let end = unsafe write(high, at: place)
      unsafe end.storeBytes(of: digits.littleEndian, as: UInt64.self)
      return unsafe end + 8
    }
    // All but the last digit may be zeros that are not written.
    let zeros = (digits & 0x000f_0f0f_0f0f_0f0f | 1 &<< 56).trailingZeroBitCount & ~7
    unsafe place.storeBytes(of: (digits &>> UInt64(zeros)).littleEndian, as: UInt64.self)
    return unsafe place + (8 &- zeros &>> 3)
  }

  @inline(never)
  private static func write(longThousandths value: Int, at place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    if value < 0 { unsafe place.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self) }
    let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1_000)
    let point = unsafe write(whole, at: value < 0 ? place + 1 : place)
    let digits = UInt64(digitsOfFours: UInt64(rest)) ^ zeroToPoint
    unsafe point.storeBytes(of: UInt32(truncatingIfNeeded: digits).littleEndian, as: UInt32.self)
    return unsafe point + 4
  }
}
