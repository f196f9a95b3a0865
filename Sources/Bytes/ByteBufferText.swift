/// Numbers as text.
extension ByteBuffer {
  /// Appends a number as decimal text.
  package func append(decimal value: Int) {
    write(atMost: ByteWriter.decimalBytesMax) { $0.append(decimal: value) }
  }

  /// Appends `value` as lower-case hexadecimal text without zeros in front.
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
