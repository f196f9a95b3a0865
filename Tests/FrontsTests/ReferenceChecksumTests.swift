import Digests
import TestValues
import Testing

@Suite struct ReferenceChecksumTests {
  @Test(arguments: [1, UInt64.random(in: .min ... .max)])
  func `the reference's checksum agrees with the gateway's`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      var crc = CRC32C()
      for byte in bytes { crc.update(byte) }
      #expect(crc.value == ReferenceProxyHeader.checksum(bytes), "seed \(seed)")
    }
    #expect(ReferenceProxyHeader.checksum(Array("123456789".utf8)) == 0xe306_9283)
  }
}
