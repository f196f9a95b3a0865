import TestValues
import Testing

@testable import Fronts

@Suite struct ProxyHeaderTests {
  @Test(arguments: try ProxyHeaderVector.all())
  func `reads what others send`(vector: ProxyHeaderVector) {
    #expect(FrontProperties.parse(vector.bytes, cuts: []) == vector.outcome)
    #expect(ReferenceProxyHeader.read(vector.bytes) == vector.outcome.header)
  }

  @Test(arguments: try ProxyHeaderVector.all())
  func `reads a header the same however it is split`(vector: ProxyHeaderVector) {
    for cut in 0...vector.bytes.count {
      #expect(FrontProperties.parse(vector.bytes, cuts: [cut]) == vector.outcome, "cut at \(cut)")
    }
    #expect(FrontProperties.parse(vector.bytes, cuts: Array(0...vector.bytes.count)) == vector.outcome)
  }

  @Test(arguments: try ProxyHeaderVector.all())
  func `needs more bytes until the last one of a valid header`(vector: ProxyHeaderVector) {
    guard let header = vector.header else { return }
    for count in 0..<header.count {
      #expect(FrontProperties.parse(Array(header[..<count]), cuts: []) == .needsMore, "\(count) bytes")
    }
    #expect(FrontProperties.parse(header, cuts: []) == vector.outcome)
  }

  /// Texts and hexadecimal bytes that are ruled out by their last byte.
  static let earliest: [(text: String, fault: ProxyHeaderFault)] = [
    ("G", .missing), ("PROXX", .missing), ("PROXY\r", .missing), ("PROXY X", .lineProtocol),
    ("PROXY UNKNOWL", .lineProtocol),
    ("PROXY TCP5", .lineProtocol), ("PROXY TCP4\t", .lineProtocol), ("PROXY TCP4  ", .lineSource),
    ("PROXY TCP4 a", .lineSource), ("PROXY TCP4 :", .lineSource), ("PROXY TCP4 256", .lineSource),
    ("PROXY TCP4 01", .lineSource), ("PROXY TCP4 1..", .lineSource), ("PROXY TCP4 1.2.3.4.", .lineSource),
    ("PROXY TCP4 1.2.3 ", .lineSource), ("PROXY TCP6 1.", .lineSource), ("PROXY TCP6 1::2::", .lineSource),
    ("PROXY TCP6 12345", .lineSource), ("PROXY TCP6 1:2:3:4:5:6:7:8:", .lineSource), ("PROXY TCP6 1:2 ", .lineSource),
    ("PROXY TCP4 1.2.3.4 1.2.3.4\r", .lineDestination), ("PROXY TCP6 :: 1.", .lineDestination),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 65536", .lineSourcePort), ("PROXY TCP4 1.2.3.4 1.2.3.4 00", .lineSourcePort),
    ("PROXY TCP4 1.2.3.4 1.2.3.4  ", .lineSourcePort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r", .lineSourcePort),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ", .lineDestinationPort),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", .lineDestinationPort),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r", .lineDestinationPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r", .lineEnd),
    ("PROXY UNKNOWN" + String(repeating: " ", count: 93), .lineTooLong),
    ("PROXY UNKNOWN" + String(repeating: " ", count: 92) + "\rx", .lineTooLong),
  ]
  static let earliestBlocks: [(hex: String, fault: ProxyHeaderFault)] = [
    ("0d0d", .missing), ("0d0a0d0a000d0a515549540d", .missing), ("*11", .version), ("*22", .command), ("*2f", .command),
    ("*2112", .datagram), ("*2101", .family), ("*2151", .family), ("*20000801", .lengthTooLong),
    ("*21110801", .lengthTooLong), ("*2111000b", .addressesTruncated), ("*21210023", .addressesTruncated),
    ("*213100d7", .addressesTruncated), ("*2111000d", .fieldTruncated), ("*2111000e", .fieldTruncated),
    ("*21110010@040002", .fieldTruncated), ("*21110012@040002", .fieldTruncated), ("*21110014@030005", .checksumLength),
    ("*2111001a@03000400000000030004", .checksumRepeated), ("*21110013@030004ffffffff", .checksumMismatch),
    ("*21110013@200004", .tlsTooShort), ("*21110016@20000601", .tlsFieldTruncated),
    ("*2111001f@20000801000000002100 01", .tlsFieldTruncated),
    ("*2111001c@2000050100000000200005", .tlsRepeated),
  ]

  @Test(arguments: earliest)
  func `fails at the first byte that rules a line out`(text: String, fault: ProxyHeaderFault) {
    expectEarliest(Array(text.utf8), fault)
  }

  @Test(arguments: earliestBlocks)
  func `fails at the end of the first field that rules a block out`(hex: String, fault: ProxyHeaderFault) {
    let digits = Array(
      hex.replacing("*", with: "0d0a0d0a000d0a515549540a").replacing("@", with: "c0000201c000020200010002")
        .replacing(" ", with: "").utf8)
    let bytes = stride(from: 0, to: digits.count, by: 2).map { index in
      UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
    }
    expectEarliest(bytes, fault)
  }

  private func expectEarliest(_ bytes: [UInt8], _ fault: ProxyHeaderFault) {
    #expect(FrontProperties.parse(bytes, cuts: []) == .fault(fault))
    #expect(FrontProperties.parse(bytes.dropLast(), cuts: []) == .needsMore)
    #expect(FrontProperties.parse(bytes + [0x0d, 0x0a], cuts: []) == .fault(fault))
  }

  @Test func `throws a fault again`() throws {
    for vector in try ProxyHeaderVector.all() {
      guard case .fault(let fault) = vector.outcome else { continue }
      var parser = ProxyHeaderParser()
      for _ in 0..<3 { #expect(throws: fault, "\(vector)") { try parser.parse(vector.bytes.span) } }
    }
  }

  @Test(arguments: try ProxyHeaderVector.all())
  func `agrees with the reference on every header with one byte changed`(vector: ProxyHeaderVector) throws {
    guard let header = vector.header else { return }
    // What the long ones repeat says nothing new.
    for index in header.indices where index < 128 || index % 97 == 0 {
      let bits = (0..<8).map { bit in header[index] ^ 1 << UInt8(bit) }
      for byte in bits + Array("\r\n 0\u{7f}".utf8) where byte != header[index] {
        var changed = header
        changed[index] = byte
        try compare(changed, "byte \(index) is \(byte)")
      }
    }
  }

  @Test(arguments: try ProxyHeaderVector.all())
  func `agrees with the reference without one byte, and with one byte more`(vector: ProxyHeaderVector) throws {
    guard let header = vector.header, header.count < 256 else { return }
    for index in header.indices {
      var shorter = header
      shorter.remove(at: index)
      try compare(shorter + Array("GET / HTTP/1.1\r\n".utf8), "without byte \(index)")
      for byte in [0, header[index], UInt8(ascii: " "), UInt8(ascii: "1"), 0x0d] {
        var longer = header
        longer.insert(byte, at: index)
        try compare(longer + Array("GET / HTTP/1.1\r\n".utf8), "with \(byte) before byte \(index)")
      }
    }
  }

  /// The parser and the reference agree, and what the parser refuses does not become a header with more bytes.
  private func compare(_ bytes: [UInt8], _ what: @autoclosure () -> String) throws {
    let outcome = FrontProperties.parse(bytes, cuts: [])
    if outcome.header != ReferenceProxyHeader.read(bytes) { Issue.record("\(what()): \(outcome)") }
    guard case .fault = outcome else { return }
    if ReferenceProxyHeader.read(bytes + Self.more) != nil {
      Issue.record("\(what()): \(outcome), though it can be valid")
    }
  }

  /// Ends a line, and fills a block.
  private static let more = Array(" ::1 1 1\r\n".utf8) + [UInt8](repeating: 0, count: ProxyHeader.bytesMax)

  @Test(arguments: [1, 2, UInt64.random(in: .min ... .max)])
  func `agrees with the reference on random blocks`(seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    var validCount = 0
    for _ in 0..<3_000 {
      let bytes = RandomBlock.make(using: &generator)
      let outcome = FrontProperties.parse(bytes, cuts: [])
      validCount += outcome.header == nil ? 0 : 1
      #expect(outcome.header == ReferenceProxyHeader.read(bytes), "seed \(seed), \(bytes)")
      let cuts = (0..<3).map { _ in Int.random(in: 0...bytes.count, using: &generator) }.sorted()
      #expect(FrontProperties.parse(bytes, cuts: cuts) == outcome, "seed \(seed), cuts \(cuts), \(bytes)")
    }
    #expect((600...2_700).contains(validCount), "the blocks are too wild or too tame: \(validCount)")
  }

  @Test(arguments: [3, UInt64.random(in: .min ... .max)])
  func `never needs more than the longest header`(seed: UInt64) throws {
    #expect(ProxyHeader.bytesMax == 2064)
    var generator = SeededGenerator(state: seed)
    let headers = try ProxyHeaderVector.all().compactMap(\.header)
    for _ in 0..<500 {
      let header = headers.randomElement(using: &generator)!
      let start = header[..<Int.random(in: 0...header.count, using: &generator)]
      let bytes = start + (0..<ProxyHeader.bytesMax).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(FrontProperties.parse(Array(bytes[..<ProxyHeader.bytesMax]), cuts: []) != .needsMore, "seed \(seed)")
    }
    for first in ["PROXY UNKNOWN ", "PROXY UNKNOWN\r"] {
      let line = Array((first + String(repeating: "\r", count: 107)).utf8)
      #expect(FrontProperties.parse(Array(line[..<106]), cuts: []) == .needsMore)
      #expect(FrontProperties.parse(Array(line[..<107]), cuts: []) == .fault(.lineTooLong))
    }
  }

  @Test func `has a vector and a text for every fault`() throws {
    let seen = try ProxyHeaderVector.all().compactMap { vector in
      if case .fault(let fault) = vector.outcome { fault } else { nil }
    }
    for fault in ProxyHeaderFault.allCases { #expect(seen.contains(fault), "\(fault)") }
    #expect(Set(ProxyHeaderFault.allCases.map { "\($0.text)" }).count == ProxyHeaderFault.allCases.count)
  }
}

extension FrontProperties.Outcome {
  var header: ProxyHeader? {
    if case .header(let header) = self { header } else { nil }
  }
}

/// Blocks of version 2 that are mostly valid.
private enum RandomBlock {
  static func make(using generator: inout SeededGenerator) -> [UInt8] {
    let chance = { (generator: inout SeededGenerator, count: Int) in Int.random(in: 0..<count, using: &generator) == 0 }
    let command: UInt8 = chance(&generator, 8) ? [0x20, 0x22, 0x11].randomElement(using: &generator)! : 0x21
    let (family, size) =
      [(0x11, 12), (0x21, 36), (0x31, 216), (0x11, 12), (0x00, 0), (0x12, 12), (0x41, 4)]
      .randomElement(using: &generator)! as (UInt8, Int)
    var block = random(size, using: &generator)
    var checksum: Int?
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      let type = [0x01, 0x03, 0x04, 0x20, 0x20, 0xe0].randomElement(using: &generator)! as UInt8
      if type == 3, !chance(&generator, 16) { checksum = 16 + block.count + 3 }
      block += field(type, value(of: type, using: &generator))
    }
    if chance(&generator, 12) { block.removeLast(Int.random(in: 0...min(4, block.count), using: &generator)) }
    if chance(&generator, 12) { block += random(Int.random(in: 1...4, using: &generator), using: &generator) }
    var bytes = Array("\r\n\r\n\0\r\nQUIT\n".utf8) + [command, family]
    bytes += [UInt8(block.count >> 8), UInt8(block.count & 0xff)] + block
    if let checksum, checksum + 4 <= bytes.count {
      bytes.replaceSubrange(checksum..<checksum + 4, with: [0, 0, 0, 0])
      let value = ReferenceProxyHeader.checksum(bytes)
      for index in 0..<4 { bytes[checksum + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    }
    if chance(&generator, 12) {
      bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    }
    return bytes + random(Int.random(in: 0...8, using: &generator), using: &generator)
  }

  private static func value(of type: UInt8, using generator: inout SeededGenerator) -> [UInt8] {
    let isOdd = Int.random(in: 0..<16, using: &generator) == 0
    switch type {
    case 3: return random(isOdd ? 5 : 4, using: &generator)
    case 0x20:
      let fields = (0..<Int.random(in: 0...2, using: &generator)).flatMap { index in
        field(0x21 + UInt8(index), random(Int.random(in: 0...9, using: &generator), using: &generator))
      }
      return random(isOdd ? Int.random(in: 0...7, using: &generator) : 5, using: &generator) + fields
    default: return random(Int.random(in: 0...20, using: &generator), using: &generator)
    }
  }

  private static func field(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
    [type, UInt8(value.count >> 8), UInt8(value.count & 0xff)] + value
  }

  private static func random(_ count: Int, using generator: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }
}
