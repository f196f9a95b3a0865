import TestValues
import Testing

@testable import HTTP1

@Suite struct IdempotencyKeyTests {
  private func key(_ value: String) throws(IdempotencyKeyFault) -> String {
    let bytes = latin1(value)
    return try IdempotencyKey(bytes.span, bytes.indices).text
  }

  private static let longest = String(repeating: "k", count: 255)

  @Test(arguments: [
    (#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    (#""a\"b\\c""#, #"a"b\c"#), (#""two words""#, "two words"), (#"" ""#, " "), (#""a,b;c=d""#, "a,b;c=d"),
    ("12.5", "12.5"), (":YQ==:", ":YQ==:"), ("?1", "?1"), ("order/4711", "order/4711"), ("!", "!"), ("~", "~"),
    ("\"\(longest)\"", longest), (longest, longest),
    (String(repeating: #"\""#, count: 255).quoted, String(repeating: "\"", count: 255)),
  ])
  func `reads a key, quoted or bare`(value: String, text: String) throws {
    #expect(try key(value) == text)
    // The value is a part of a head.
    let bytes = latin1("\"x\(value)y\"")
    #expect(try IdempotencyKey(bytes.span, 2..<bytes.count - 2).text == text)
  }

  @Test(
    arguments: [
      ("", .empty), (#""""#, .empty), (longest + "k", .tooLong), ("\(longest)k".quoted, .tooLong),
      ("a\u{e9}", .notPrintable), ("a\u{e9}".quoted, .notPrintable), ("a\tb", .notPrintable),
      ("a\tb".quoted, .notPrintable),
      ("a\u{7f}", .notPrintable), ("a b", .needsQuotes), (#"a"b""#, .needsQuotes), (#"a\b"#, .needsQuotes),
      (#"""#, .quoteUnclosed), (#""abc"#, .quoteUnclosed), (#""abc\""#, .quoteUnclosed), (#""abc\"#, .quoteUnclosed),
      (#""a\nb""#, .escapeUnknown), (#""\u0041""#, .escapeUnknown),
      ("a,b", .list), (#""a", "b""#, .list), (#""a" ,"b""#, .list), ("a, a", .list), (#""a","#, .list),
      ("a;b", .parameters), (#""a";b=1"#, .parameters), (#""a" ; b"#, .parameters), (#""a""b""#, .textAfterQuote),
      (#""a" b"#, .textAfterQuote), (#""a"b"#, .textAfterQuote),
    ] as [(String, IdempotencyKeyFault)])
  func `says what is wrong with a malformed key`(value: String, fault: IdempotencyKeyFault) {
    #expect(throws: fault) { try key(value) }
  }

  @Test func `accepts and rejects what the grammar does, for every byte at every position of a few keys`() throws {
    for value in ["abc", #""abc""#, #""a\\c""#, #""a"b"#, "\"\(Self.longest)\"", Self.longest, #""a b" "#] {
      for index in [0, 1, 2, 3, value.count - 1] where index < value.count {
        for byte in UInt8.min...UInt8.max {
          var bytes = latin1(value)
          bytes[index] = byte
          try Properties.idempotencyKey(bytes)
          bytes = latin1(value)
          bytes.insert(byte, at: index)
          try Properties.idempotencyKey(bytes)
        }
      }
    }
  }

  @Test func `accepts and rejects what the grammar does, for random values`() throws {
    var random = SeededGenerator(state: 8941)
    let alphabet = latin1(#""""\\\ab ,;"# + "\u{7f}\t")
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...8, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      try Properties.idempotencyKey(bytes)
    }
  }

  // MARK: In a head

  private func key(of fields: [String]) throws -> IdempotencyKey? {
    let bytes = latin1("POST /a HTTP/1.1\r\nHost: a\r\n" + fields.map { "\($0)\r\n" }.joined() + "\r\n")
    var parser = RequestHeadParser(limits: HeadLimits())
    try #require(try parser.parse(bytes.span))
    return try parser.head.idempotencyKey(bytes.span)
  }

  @Test func `finds the key of a request`() throws {
    #expect(try key(of: []) == nil)
    #expect(try key(of: ["Idempotent-Key: a", "X-Idempotency-Key: b", "Idempotency-Keys: c"]) == nil)
    for field in ["Idempotency-Key: k1", "idempotency-key:  \"k1\"\t", "IDEMPOTENCY-KEY:k1"] {
      #expect(try key(of: ["A: b", field, "C: d"])?.text == "k1")
    }
    // RFC 9110 §7.6.1: named by Connection, the field is meant for the next hop, which is the gateway.
    #expect(try key(of: ["Connection: idempotency-key", "Idempotency-Key: k1"])?.text == "k1")
  }

  @Test(
    arguments: [
      (["Idempotency-Key: a", "Idempotency-Key: a"], .repeated),
      (["Idempotency-Key: a", "Idempotency-Key:"], .repeated),
      (["Idempotency-Key:"], .empty), (["Idempotency-Key: a", "Idempotency_Key: a"], .repeated),
      (["Idempotency_Key: a"], .nameMisspelled), (["idempotency.key: a"], .nameMisspelled),
    ] as [([String], IdempotencyKeyFault)])
  func `rejects a request whose key is ambiguous`(fields: [String], fault: IdempotencyKeyFault) {
    #expect(throws: fault) { try key(of: fields) }
  }

  @Test func `each fault has its own text, which needs no escaping in JSON`() {
    let texts = IdempotencyKeyFault.allCases.map(\.text)
    #expect(Set(texts).count == texts.count)
    #expect(texts.joined().utf8.allSatisfy { $0.isFieldContent && $0 != .quote && $0 != .backslash })
  }
}

extension String {
  fileprivate var quoted: String { "\"\(self)\"" }
}
