import Foundation
import TestValues
import Testing

@testable import OAuth

@Suite struct Base64URLTests {
  // RFC 4648 §10, without padding.
  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy"),
  ])
  func `encodes and decodes the vectors of RFC 4648`(plain: String, encoded: String) {
    #expect(String(decoding: Base64URL.encode(Array(plain.utf8).span), as: UTF8.self) == encoded)
    #expect(decoded(encoded) == Array(plain.utf8))
  }

  @Test func `uses the alphabet for URLs`() {
    #expect(String(decoding: Base64URL.encode([0xfb, 0xef, 0xff].span), as: UTF8.self) == "--__")
    #expect(decoded("--__") == [0xfb, 0xef, 0xff])
  }

  @Test(arguments: [
    "+/+/", "Zg==", "Zm8=", "Zm9v=", "=", "Zm9 v", " Zm9v", "Zm9v\n", "Zm9v\0", "Zm9vZ", "Z", "ü234", "Zm9vZm9v!",
    // The bits after the last byte are not zero.
    "Zh", "Zv", "Zm9vZh", "Zm9", "Zm-", "Zm9vZm9",
  ])
  func `refuses other alphabets, padding and second texts for the same bytes`(text: String) {
    #expect(decoded(text) == nil)
  }

  @Test func `each byte sequence has exactly one text`() {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var seen: Set<[UInt8]> = []
    for first in alphabet {
      for second in alphabet {
        if let bytes = decoded([first, second]) { #expect(seen.insert(bytes).inserted) }
        if let bytes = decoded([first, second, alphabet[0]]) { #expect(seen.insert(bytes).inserted) }
      }
    }
    #expect(seen.count == 256 + 4_096)
    for byte in UInt8.min...UInt8.max {
      #expect((decoded([byte, 65, 65, 65]) != nil) == alphabet.contains(byte))
      #expect((decoded([65, 65, 65, byte]) != nil) == alphabet.contains(byte))
    }
  }

  @Test func `refuses bytes that do not fit`() {
    var bytes: [UInt8] = [0, 0]
    var span = bytes.mutableSpan
    let decodes = Base64URL.decode(Array("Zm9v".utf8).span, into: &span)
    #expect(!decodes)
  }

  @Test func `agrees with Foundation on random bytes`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(state: seed)
    for count in 0..<200 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let text = Base64URL.encode(bytes.span)
      #expect(text == referenceBase64URL(bytes), "seed \(seed)")
      #expect(decoded(text) == bytes, "seed \(seed)")
    }
  }

  @Test func `refuses a wrong character at every place of a long text`() {
    for count in 150...170 where count & 3 != 1 {
      let text = [UInt8](repeating: UInt8(ascii: "A"), count: count)
      #expect(decoded(text) == [UInt8](repeating: 0, count: count * 3 / 4))
      for place in text.indices {
        for character in "=+/. \0é".utf8 {
          var wrong = text
          wrong[place] = character
          #expect(decoded(wrong) == nil, "\(count) characters, \(character) at \(place)")
        }
      }
    }
  }

  @Test func `writes at most two bytes after those of the text`() {
    for count in 0..<200 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: 31 &* $0 &+ count) }
      let text = Base64URL.encode(bytes.span)
      var output = [UInt8](repeating: 0xee, count: count + 20)
      var span = output.mutableSpan
      #expect(Base64URL.decode(text.span, into: &span))
      #expect(Array(output[..<count]) == bytes && output[(count + 2)...].allSatisfy { $0 == 0xee })
    }
  }

  private func decoded(_ text: String) -> [UInt8]? { decoded(Array(text.utf8)) }

  private func decoded(_ text: [UInt8]) -> [UInt8]? {
    guard let count = Base64URL.byteCount(text.count) else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    return Base64URL.decode(text.span, into: &span) ? bytes : nil
  }
}
