extension UInt64 {
  /// The eight lower-case hexadecimal digits of `value` as ASCII, the first one in the lowest byte.
  ///
  /// All eight at once, without a branch: a request's ids are 160 digits.
  @inlinable
  package init(hexDigitsOf value: UInt32) {
    // One nibble in each byte, the most significant one first.
    var digits = UInt64(value.byteSwapped)
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff
    digits = (digits >> 4 | digits << 8) & 0x0f0f_0f0f_0f0f_0f0f
    let letters = ((digits &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
    self = digits &+ 0x3030_3030_3030_3030 &+ letters &* 39
  }
}
