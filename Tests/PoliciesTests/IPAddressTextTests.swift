import Glibc
import TestValues
import Testing

@testable import Policies

/// Reads and writes addresses as glibc does.
@Suite struct IPAddressTextTests {
  @Test(arguments: [1, 2, UInt64.random(in: .min ... .max)])
  func `agrees with inet_pton on mutated texts`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    var validCount = 0
    for _ in 0..<20_000 {
      let text = AddressTexts.mutated(using: &generator)
      let expected = parsedByGlibc(text)
      validCount += expected == nil ? 0 : 1
      let address = IPAddress(String(decoding: text, as: UTF8.self))
      #expect(address == expected, "seed \(seed), \(String(decoding: text, as: UTF8.self).debugDescription)")
      let padded = Array("1.".utf8) + text + Array("1:".utf8)
      #expect(IPAddress(padded.span, 2..<padded.count - 2) == expected, "seed \(seed), within other bytes")
    }
    #expect((4_000...18_000).contains(validCount), "the mutations are too wild or too tame: \(validCount)")
  }

  @Test(arguments: [3, UInt64.random(in: .min ... .max)])
  func `writes what inet_ntop writes, except for IPv4 in IPv6`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<20_000 {
      let address = AddressTexts.address(using: &generator)
      let text = address.description
      #expect(parsedByGlibc(Array(text.utf8)) == address, "seed \(seed), \(text)")
      #expect(IPAddress(text) == address, "seed \(seed), \(text)")
      // glibc also writes the IPv4-compatible addresses of RFC 4291 §2.5.5.1 with dots.
      let isCompatible = address.high == 0 && address.low >> 32 == 0 && address.low >> 16 != 0
      guard !isCompatible else { continue }
      #expect(text == writtenByGlibc(address), "seed \(seed)")
    }
  }

  @Test(arguments: [
    ("1.2.3.4", "1.2.3.4"), ("1::", "1::"), ("::1", "::1"), ("::", "::"), ("1:0:0:4::", "1:0:0:4::"),
    ("::4:0:0:8", "::4:0:0:8"), ("10:100:1000:f:ff:fff:ffff:0", "10:100:1000:f:ff:fff:ffff:0"),
    ("::1.2.3.4", "::102:304"),
  ])
  func `appends an address to other text`(text: String, written: String) throws {
    var bytes = Array("X-Forwarded-For: ".utf8)
    try #require(IPAddress(text)).write(to: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == "X-Forwarded-For: \(written)")
  }

  @Test(arguments: [4, UInt64.random(in: .min ... .max)])
  func `refuses the first byte after which there is no address`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<4_000 {
      let text = AddressTexts.mutated(using: &generator)
      for family in [IPAddressReader.Family.any, .ipv4, .ipv6] {
        let known = AddressTexts.lengthTaken(of: text, as: family)
        let start = String(decoding: text[..<known], as: UTF8.self)
        // What was taken can be completed; with the next byte, it cannot.
        #expect(AddressTexts.completions.contains { isAddress(start + $0, family) }, "seed \(seed), \(start)")
        guard known < text.count else { continue }
        let refused = String(decoding: text[...known], as: UTF8.self)
        #expect(!AddressTexts.completions.contains { isAddress(refused + $0, family) }, "seed \(seed), \(refused)")
      }
    }
  }

  /// Whether glibc reads a text as an address of a family.
  private func isAddress(_ text: String, _ family: IPAddressReader.Family) -> Bool {
    guard parsedByGlibc(Array(text.utf8)) != nil else { return false }
    switch family {
    case .any: return true
    case .ipv4: return !text.contains(":")
    case .ipv6: return text.contains(":")
    }
  }
}

private enum AddressTexts {
  static let samples = [
    "127.0.0.1", "0.0.0.0", "255.255.255.255", "10.1.200.99", "::", "::1", "1::", "2001:db8::1", "fe80::",
    "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "::ffff:10.0.0.1",
    "64:ff9b::192.0.2.1", "1:0:0:2:0:0:0:3", "FFFF:ffff:FfFf:0:00:000:0000:abcd", "1:2:3:4:5::1.2.3.4",
  ]
  static let snippets = [
    ":", "::", ".", "0", "00", "1", "9", "25", "255", "256", "a", "F", "g", "%eth0", " ", "[", "]", "/8", "-",
    "1.2.3.4",
    "::1", "0x1", "é",
  ]
  /// One of them completes every text that begins an address.
  static let completions: [String] = {
    let groups = (0...8).map { count in String(repeating: ":0", count: count) }
    let numbers = (0...3).map { count in String(repeating: ".0", count: count) }
    return groups + groups.map { "0" + $0 } + numbers + numbers.map { "0" + $0 } + [":", "::"]
  }()

  static func mutated(using generator: inout SeededGenerator) -> [UInt8] {
    var text = Array(samples.randomElement(using: &generator)!.utf8)
    for _ in 0..<Int.random(in: 0...2, using: &generator) {
      let place = Int.random(in: 0...text.count, using: &generator)
      let end = min(text.count, place + Int.random(in: 0...3, using: &generator))
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: text.removeSubrange(place..<end)
      case 1: text.replaceSubrange(place..<end, with: Array(snippets.randomElement(using: &generator)!.utf8))
      default: text.insert(contentsOf: snippets.randomElement(using: &generator)!.utf8, at: place)
      }
    }
    return text
  }

  /// An address with many zero groups, sometimes IPv4.
  static func address(using generator: inout SeededGenerator) -> IPAddress {
    if Int.random(in: 0..<8, using: &generator) == 0 {
      return IPAddress(ipv4: .random(in: 0 ... .max, using: &generator))
    }
    let words = (0..<2).map { _ in
      (0..<4).reduce(UInt64(0)) { word, _ in
        let bits = [0, 0, 4, 8, 12, 16].randomElement(using: &generator)!
        return word << 16 | UInt64.random(in: 0..<1 << UInt64(bits), using: &generator)
      }
    }
    return IPAddress(high: words[0], low: words[1])
  }

  /// How many bytes of a text the reader takes.
  static func lengthTaken(of text: [UInt8], as family: IPAddressReader.Family) -> Int {
    var reader = IPAddressReader(family)
    return text.firstIndex { !reader.take($0) } ?? text.count
  }
}

/// The address that `inet_pton` reads; the text must not have a zero byte.
private func parsedByGlibc(_ text: [UInt8]) -> IPAddress? {
  let string = String(decoding: text, as: UTF8.self)
  var ipv4 = in_addr()
  if unsafe inet_pton(AF_INET, string, &ipv4) == 1 { return IPAddress(ipv4: UInt32(bigEndian: ipv4.s_addr)) }
  var words = (UInt64(0), UInt64(0))
  guard unsafe inet_pton(AF_INET6, string, &words) == 1 else { return nil }
  return IPAddress(high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
}

private func writtenByGlibc(_ address: IPAddress) -> String {
  var text = [CChar](repeating: 0, count: 64)
  if address.isIPv4 {
    var ipv4 = in_addr(s_addr: address.ipv4.bigEndian)
    _ = unsafe inet_ntop(AF_INET, &ipv4, &text, 64)
  } else {
    var words = (address.high.bigEndian, address.low.bigEndian)
    _ = unsafe inet_ntop(AF_INET6, &words, &text, 64)
  }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
