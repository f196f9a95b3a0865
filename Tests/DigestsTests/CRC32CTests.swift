import Testing

@testable import Digests

@Suite struct CRC32CTests {
  /// RFC 3720 §B.4, and the check value of the catalogue of CRC algorithms.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa), ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
      (Array(0..<32), 0x46dd_794e), (Array((0..<32).reversed()), 0x113f_db5c), (Array("123456789".utf8), 0xe306_9283),
      ([], 0), (Array("a".utf8), 0xc1d0_4330),
    ] as [([UInt8], UInt32)])
  func `computes the published values`(bytes: [UInt8], value: UInt32) {
    var crc = CRC32C()
    for byte in bytes { crc.update(byte) }
    #expect(crc.value == value)
    // In two parts, divided at every byte.
    for end in 0...bytes.count {
      var (crc, portable) = (CRC32C(), CRC32C())
      for part in [0..<end, end..<bytes.count] {
        crc.update(bytes.span.extracting(part))
        portable.updatePortably(bytes.span.extracting(part))
      }
      #expect(crc.value == value && portable.value == value, "divided at \(end)")
    }
  }

  @Test func `agrees with a division bit by bit`() {
    for count in 0..<300 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
      var remainder = UInt32.max
      for byte in bytes {
        remainder ^= UInt32(byte)
        for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1) &* 0x82f6_3b78 }
      }
      var (crc, portable) = (CRC32C(), CRC32C())
      crc.update(bytes.span)
      portable.updatePortably(bytes.span)
      #expect(crc.value == ~remainder && portable.value == ~remainder, "\(bytes)")
    }
  }
}
