/// Numbers as text, and text for JSON.
extension ByteBuffer {
  /// Appends a number as decimal text.
  package func append(decimal value: Int) {
    if value < 0 { append(UInt8(ascii: "-")) }
    append(magnitude: UInt64(value.magnitude))
  }

  /// Appends a number of thousandths as decimal text with three digits behind the point.
  package func append(thousandths value: Int) {
    if value < 0 { append(UInt8(ascii: "-")) }
    let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1000)
    append(magnitude: UInt64(whole))
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: rest))
    append(word: digits &>> 32 & ~0xff | UInt64(UInt8(ascii: ".")), count: 4)
  }

  @inline(__always)
  private func append(magnitude: UInt64) {
    if magnitude < 10 { return append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: magnitude)) }
    guard magnitude < Self.eightDigits else {
      append(decimal: Int(magnitude / Self.eightDigits))
      return append(digits: magnitude, count: 8)
    }
    let digits = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: magnitude))
    let zeros = (digits & 0x0f0f_0f0f_0f0f_0f0f).trailingZeroBitCount & ~7
    append(word: digits &>> UInt64(zeros), count: 8 &- zeros &>> 3)
  }

  /// Appends the last `count` decimal digits of `value`, at most 19, with zeros in front.
  package func append(digits value: UInt64, count digits: Int) {
    var count = digits
    if count > 8 {
      append(digits: value / Self.eightDigits, count: count &- 8)
      count = 8
    }
    let word = UInt64(decimalDigitsOf: UInt32(truncatingIfNeeded: value % Self.eightDigits))
    append(word: word &>> UInt64(64 &- count &* 8), count: count)
  }

  private static let eightDigits: UInt64 = 100_000_000

  /// Appends `value` as lower-case hexadecimal text without zeros in front.
  package func append(hex value: UInt64) {
    let digits = max(1, (64 - value.leadingZeroBitCount + 3) / 4)
    append(hex: value, digits: digits)
  }

  /// Appends the low `digits` hexadecimal digits of `value`, at most 16, in lower case.
  package func append(hex value: UInt64, digits: Int) {
    let left = value &<< UInt64(64 &- digits &* 4)
    reserve(16)
    let end = unsafe UnsafeMutableRawPointer(storage + held)
    let (high, low) = (UInt32(truncatingIfNeeded: left &>> 32), UInt32(truncatingIfNeeded: left))
    unsafe end.storeBytes(of: UInt64(hexDigitsOf: high).littleEndian, as: UInt64.self)
    unsafe end.storeBytes(of: UInt64(hexDigitsOf: low).littleEndian, toByteOffset: 8, as: UInt64.self)
    held &+= digits
  }

  /// Appends the lowest `count` bytes of `word`, at most 8, the lowest one first.
  @inline(__always)
  private func append(word: UInt64, count: Int) {
    reserve(8)
    unsafe UnsafeMutableRawPointer(storage + held).storeBytes(of: word.littleEndian, as: UInt64.self)
    held &+= count
  }

  /// Appends the bytes of all words, of each the lowest one first.
  @inlinable @inline(__always)
  public func append<let count: Int>(words: InlineArray<count, UInt64>) {
    reserve(count &* 8)
    let end = unsafe UnsafeMutableRawPointer(storage + held)
    for index in words.indices {
      unsafe end.storeBytes(of: words[index].littleEndian, toByteOffset: index &* 8, as: UInt64.self)
    }
    held &+= count &* 8
  }

  /// Appends the beginning of `text` that stands in a JSON string as it is (RFC 8259 §7): ASCII without control bytes,
  /// quotes and backslashes; returns how many bytes that are.
  ///
  /// Almost always it is all of it, so it is looked at eight bytes at a time, and copied with the same load.
  package func append(plainBeginningOf text: Span<UInt8>) -> Int {
    reserve(text.count)
    let target = unsafe UnsafeMutableRawPointer(storage + held)
    let plain = unsafe text.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return 0 }
      let count = bytes.count
      var index = 0
      while count &- index >= 8, unsafe Self.copyPlainWord(source + index, target + index) { index &+= 8 }
      let rest = count &- index
      // The last ones together with some that were copied already.
      if index > 0, rest < 8, unsafe Self.copyPlainWord(source + count - 8, target + count - 8) { return count }
      while index < count {
        let byte = unsafe source.load(fromByteOffset: index, as: UInt8.self)
        guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
        unsafe target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        index &+= 1
      }
      return index
    }
    held &+= plain
    return plain
  }

  /// Copies eight bytes; false if one of them is a control byte, beyond ASCII, a quote or a backslash.
  @inline(__always)
  private static func copyPlainWord(_ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let word = unsafe source.loadUnaligned(as: UInt64.self)
    unsafe target.storeBytes(of: word, as: UInt64.self)
    // A byte's highest bit is set where it is beyond ASCII, or where one of these differences or the sum sets it.
    let controls = word &- (ones &* 0x20)
    let delete = word &+ ones
    let quotes = (word ^ (ones &* UInt64(UInt8(ascii: "\"")))) &- ones
    let backslashes = (word ^ (ones &* UInt64(UInt8(ascii: "\\")))) &- ones
    return (word | controls | delete | quotes | backslashes) & (ones &* 0x80) == 0
  }
}
