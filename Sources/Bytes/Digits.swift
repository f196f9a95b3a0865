/// Eight digits as ASCII, the first one in the lowest byte, computed at once without a branch; inlined like `ByteWriter`.
extension UInt64 {
  /// The eight lower-case hexadecimal digits of `value`.
  @inlinable
  public init(hexDigitsOf value: UInt32) {
    // One nibble in each byte, the most significant one first.
    var digits = UInt64(value.byteSwapped)
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff
    digits = (digits >> 4 | digits << 8) & 0x0f0f_0f0f_0f0f_0f0f
    let letters = ((digits &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
    self = digits &+ 0x3030_3030_3030_3030 &+ letters &* 39
  }

  /// The eight decimal digits of `value`, which must be below 100,000,000, with leading zeros.
  @inlinable @inline(__always)
  public init(decimalDigitsOf value: UInt32) {
    let tenThousands = UInt64(value) / 10_000
    self.init(digitsOfFours: tenThousands | (UInt64(value) &- tenThousands &* 10_000) << 32)
  }

  /// The four decimal digits of each 32-bit half of `fours`, the lower half first; both must be below 10,000.
  @inlinable @inline(__always)
  public init(digitsOfFours fours: UInt64) {
    // Split into two-digit, then one-digit lanes; a product and a shift divide in each lane.
    let hundreds = (fours &* 10_486) >> 20 & 0x0000_007f_0000_007f
    var digits = hundreds | (fours &- hundreds &* 100) << 16
    let tens = (digits &* 103) >> 10 & 0x000f_000f_000f_000f
    digits = tens | (digits &- tens &* 10) << 8
    self = digits | 0x3030_3030_3030_3030
  }
}
