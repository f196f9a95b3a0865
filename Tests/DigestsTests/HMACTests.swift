import Testing

@testable import Digests

@Suite struct HMACTests {
  struct Vector: CustomTestStringConvertible {
    let name: String
    let key: [UInt8]
    let message: [UInt8]
    let hex: String
    var testDescription: String { name }
  }

  // RFC 4231 §4; test case 5 truncates its output, so its first 16 bytes are given.
  static let vectors = [
    Vector(
      name: "case 1", key: [UInt8](repeating: 0x0b, count: 20), message: Array("Hi There".utf8),
      hex: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    Vector(
      name: "case 2", key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8),
      hex: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    Vector(
      name: "case 3", key: [UInt8](repeating: 0xaa, count: 20), message: [UInt8](repeating: 0xdd, count: 50),
      hex: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    Vector(
      name: "case 4", key: Array(0x01...0x19), message: [UInt8](repeating: 0xcd, count: 50),
      hex: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    Vector(
      name: "case 5", key: [UInt8](repeating: 0x0c, count: 20), message: Array("Test With Truncation".utf8),
      hex: "a3b6167473100ee06e0c796c2955552b"),
    Vector(
      name: "case 6", key: [UInt8](repeating: 0xaa, count: 131),
      message: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
      hex: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    Vector(
      name: "case 7", key: [UInt8](repeating: 0xaa, count: 131),
      message: Array(
        ("This is a test using a larger than block-size key and a larger than block-size data. "
          + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
      hex: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
  ]

  @Test(arguments: vectors)
  func `computes the codes of RFC 4231`(vector: Vector) {
    let hmac = HMAC(key: vector.key.span)
    var message = hmac.message
    message.update(vector.message.span)
    #expect(hmac.code(of: message).hex.hasPrefix(vector.hex))
    #expect(hmac.code(of: vector.message.span).hex.hasPrefix(vector.hex))
  }

  @Test func `computes the same code for a message in one piece as for one in two, of every length`() {
    let hmac = HMAC(key: Array("key".utf8).span)
    for length in 0...300 {
      let message = (0..<length).map { index in UInt8(truncatingIfNeeded: 31 * index + length) }
      var stream = hmac.message
      stream.update(message.span.extracting(0..<length / 3))
      stream.update(message.span.extracting(length / 3..<length))
      #expect(hmac.code(of: message.span) == hmac.code(of: stream), "\(length) bytes")
    }
  }

  @Test(arguments: Array(sha256ByLength.enumerated()))
  func `computes the same digest however a message is split`(length: Int, hex: String) {
    let message = (0..<length).map { index in UInt8(truncatingIfNeeded: 31 * index + length) }
    for cut in 0...length {
      var stream = SHA256Stream()
      stream.update(message.span.extracting(0..<cut))
      _ = stream.digest
      stream.update(message.span.extracting(cut..<length))
      #expect(stream.digest.hex == hex)
    }
  }

  @Test func `has the bytes that its hexadecimal text shows`() {
    let digest = SHA256.digest(of: Array("abc".utf8).span)
    let bytes = digest.bytes
    let text = bytes.indices.map { index in
      let digits = String(bytes[index], radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }
    #expect(text.joined() == digest.hex)
  }
}
