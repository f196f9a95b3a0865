import TestValues
import Testing

@testable import Fronts

@Suite struct CRC32CTests {
  /// RFC 3720 §B.4, and the check value of the catalogue of CRC algorithms.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa), ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
      (Array(0..<32), 0x46dd_794e), (Array((0..<32).reversed()), 0x113f_db5c), (Array("123456789".utf8), 0xe306_9283),
      ([], 0), (Array("a".utf8), 0xc1d0_4330),
    ] as [([UInt8], UInt32)])
  func `computes the published values`(bytes: [UInt8], value: UInt32) {
    #expect(checksum(bytes) == value)
    #expect(ReferenceProxyHeader.checksum(bytes) == value)
  }

  @Test(arguments: [1, UInt64.random(in: .min ... .max)])
  func `agrees with the reference`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      #expect(checksum(bytes) == ReferenceProxyHeader.checksum(bytes), "seed \(seed)")
    }
  }

  private func checksum(_ bytes: [UInt8]) -> UInt32 {
    var crc = CRC32C()
    for byte in bytes { crc.update(byte) }
    return crc.value
  }
}
