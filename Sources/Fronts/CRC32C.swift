/// The checksum of RFC 9260, Appendix A (CRC32C, Castagnoli), bit by bit: headers are short.
struct CRC32C {
  /// The polynomial 0x1edc6f41 with its bits reversed.
  private static let polynomial: UInt32 = 0x82f6_3b78

  private var remainder = UInt32.max

  /// The checksum of the bytes so far.
  var value: UInt32 { ~remainder }

  mutating func update(_ byte: UInt8) {
    remainder ^= UInt32(byte)
    for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1) &* Self.polynomial }
  }
}
