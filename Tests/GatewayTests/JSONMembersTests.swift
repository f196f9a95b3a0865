import Audit
import Bytes
import Foundation
import TestValues
import Testing

@testable import Gateway

/// What the audit log takes from JSON bodies.
@Suite struct JSONMembersTests {
  /// What Go 1.2x's encoding/json takes from a body into a struct with `identity_id` and `ledger_id`.
  static let bodies: [(String, String?, String?)] = [
    (#"{"identity_id": "idt_1"}"#, "idt_1", nil),
    (#" {"ledger_id":"ldg_1","identity_id":"idt_1"} "#, "idt_1", "ldg_1"),
    (#"{"Identity_ID":"a"}"#, "a", nil),
    (#"{"identity_id":"a","IDENTITY_ID":"b"}"#, "b", nil),
    (#""x",{"identity_id":"a"}"#, nil, nil), (#""x"]"#, nil, nil), (#""x"}"#, nil, nil),
    (#"{"identity_id":"a","identity_id":null}"#, "a", nil),
    (#"{"identity_id":"a\u0062\n\"\\\/"}"#, "ab\n\"\\/", nil),
    (#"{"identity_id":"\ud83d\ude00\ud83d"}"#, "\u{1F600}\u{FFFD}", nil),
    (#"{"\u0069dentity_id":"a"}"#, "a", nil),
    (#"{"meta_data":{"identity_id":"inner"},"x":[{"ledger_id":"inner"}]}"#, nil, nil),
    (#"{"x":[1,-0.5e+3,true,false,null,{"a":[]},{}],"ledger_id":"l"}"#, nil, "l"),
    (#"{"identity_id":1}"#, nil, nil),
    (#"{"identity_id":"a"} trailing"#, "a", nil),
    (#"{"identity_id":""}"#, "", nil),
    ("{}", nil, nil), ("[]", nil, nil), ("null", nil, nil), ("", nil, nil), ("  ", nil, nil),
    (#""identity_id""#, nil, nil),
    // A body that Go rejects names nothing.
    (#"{"identity_id":"a""#, nil, nil), (#"{"identity_id":"a",}"#, nil, nil),
    (#"{"identity_id":"a","x":01}"#, nil, nil),
    (#"{"identity_id":"a","x":tru}"#, nil, nil), (#"{"identity_id":"a","x":"\x"}"#, nil, nil),
    ("{\"identity_id\":\"a\",\"x\":\"\u{1}\"}", nil, nil), (#"{"identity_id":"a" "x":1}"#, nil, nil),
    (#"{identity_id:"a"}"#, nil, nil), (#"{"identity_id":"a","x":[1}}"#, nil, nil),
    (#"{"identity_id":"a","x":}"#, nil, nil),
    (#"{"identity_id":"a","x":1.}"#, nil, nil), (#"{"identity_id":"a","x":1e}"#, nil, nil),
    (#"{"identity_id":"a","x":-}"#, nil, nil), (#"{"identity_id":"a","x":"\u12"}"#, nil, nil),
  ]

  private func members(_ body: String) -> JSONMembers { JSONMembers(Array(body.utf8).span) }

  private func text(_ members: JSONMembers, _ name: JSONMembers.Name) -> String? {
    members[name].map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(arguments: bodies)
  func `reads a body as Core does`(body: String, identity: String?, ledger: String?) throws {
    let found = members(body)
    #expect(text(found, .identityID) == identity && text(found, .ledgerID) == ledger)
    try JSONMembersProperty.check(Array(body.utf8))
  }

  @Test(arguments: bodies)
  func `a truncated body names nothing`(body: String, identity: String?, ledger: String?) {
    let bytes = Array(body.utf8)
    guard let end = bytes.lastIndex(of: UInt8(ascii: "}")) else { return }
    for cut in 0..<end {
      let found = JSONMembers(bytes.span.extracting(0..<cut))
      #expect(found[.identityID] == nil && found[.ledgerID] == nil)
    }
  }

  @Test(arguments: ["[", #"{"a":"#, #"[{"a":"#])
  func `does not recurse into deep nesting`(opening: String) {
    for depth in [100, 9_000, 30_000] {
      #expect(members(#"{"identity_id":"a","x":"# + String(repeating: opening, count: depth))[.identityID] == nil)
    }
    for (depth, isRead) in [(9_999, true), (10_000, false)] {
      let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
      #expect((members(#"{"identity_id":"a","x":\#(nested)}"#)[.identityID] != nil) == isRead)
      let objects = String(repeating: #"{"source":"#, count: depth) + "1" + String(repeating: "}", count: depth)
      let found = members(#"{"identity_id":"a","x":\#(objects)}"#)
      #expect((found[.identityID] != nil) == isRead && found[.source] == nil)
    }
  }

  @Test func `omits values that are too long for an id, and holds no more than one of each name`() {
    let long = String(repeating: "x", count: JSONMembers.textBytesMax)
    #expect(members(#"{"identity_id":"\#(long)"}"#)[.identityID]?.count == 256)
    #expect(members(#"{"identity_id":"\#(long)y"}"#)[.identityID] == nil)
    #expect(members(#"{"identity_id":"a","identity_id":"\#(long)y"}"#)[.identityID] == nil)
    // Each of these bytes takes three as U+FFFD.
    let invalid = Array(#"{"identity_id":""#.utf8) + [UInt8](repeating: 0xFF, count: 100) + Array(#""}"#.utf8)
    #expect(JSONMembers(invalid.span)[.identityID] == nil)
    let repeated = String(repeating: #""source":"\#(long)","precise_amount":1,"precise_amount":null,"#, count: 200)
    let found = members(#"{\#(repeated)"destination":"d","source":"s"}"#)
    #expect(text(found, .source) == "s" && text(found, .destination) == "d" && found.texts.count == 2)
  }

  @Test func `reads amounts as they are written`() {
    for number in ["10.50", "-0", "1e400", "123456789012345678901234567890.000000000000000001", "0.1E-7"] {
      let found = members(#"{"Amount": \#(number),"PRECISE_AMOUNT":\#(number)}"#)
      #expect(text(found, .amount) == number && text(found, .preciseAmount) == number)
    }
    // Core holds the precise amount by reference, so that null removes it.
    let removed = members(#"{"amount":1,"amount":null,"amount":"2","precise_amount":3,"precise_amount":null}"#)
    #expect(text(removed, .amount) == "1" && removed[.preciseAmount] == nil)
    #expect(members(#"{"amount":\#(String(repeating: "1", count: 257))}"#)[.amount] == nil)
  }

  static let lists: [(String, count: Int, [[String]])] = [
    (
      #"[{"identifier":"a","distribution":"20%"},{"distribution":"left","Identifier":"b"}]"#, 2,
      [["a", "20%"], ["b", "left"]]
    ),
    (#"[{"identifier":"a","x":{"identifier":"b"},"y":[{"identifier":"c"}]},{}]"#, 2, [["a"], []]),
    (#"[null,[{"identifier":"a"}],"b",{"amount":1.50,"reference":"r"}]"#, 4, [["r", "1.50"]]),
    (#"[{"identifier":"a"}],"Destinations":[{"identifier":"b"}]"#, 2, []),
    (#"[{"identifier":"a"}],"destinations":null"#, 1, []), (#""a""#, 1, []), ("{}", 1, []),
    ("[ ]", 0, []), ("null", 0, []), (#"[{"identifier":"\#(String(repeating: "x", count: 257))"}]"#, 1, [[]]),
  ]

  @Test(arguments: lists)
  func `reads the parts of a split payment`(value: String, count: Int, elements: [[String]]) throws {
    let body = #"{"destinations":\#(value)}"#
    let list = members(body).list(.destinations)
    #expect(list.count == count && members(body).hasParts == (count > 0))
    #expect(list.elements.map { $0.map { String(decoding: $0.text, as: UTF8.self) } } == elements)
    try JSONMembersProperty.check(Array(body.utf8))
  }

  @Test func `keeps the beginning of a long list, and counts the rest`() {
    let many = [String](repeating: #"{"reference":"r"}"#, count: 1_000).joined(separator: ",")
    #expect(members(#"{"transactions":[\#(many)]}"#).list(.transactions).elements.count == JSONMembers.elementsMax)
    #expect(members(#"{"transactions":[\#(many)]}"#).list(.transactions).count == 1_000)
    let text = String(repeating: "x", count: 250)
    let long = [String](repeating: #"{"source":"\#(text)","destination":"\#(text)"}"#, count: 20).joined(separator: ",")
    let list = members(#"{"transactions":[\#(long)]}"#).list(.transactions)
    #expect(list.elements.count == 9 && list.count == 20)
  }

  @Test func `the corpus of the fuzzer satisfies the property`() throws {
    let folder = URL(filePath: #filePath).appending(path: "../../Fuzz/corpus/audited-json").standardized
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count > 3)
    for file in files {
      #expect(throws: Never.self, "\(file.path)") { try JSONMembersProperty.check(Array(try Data(contentsOf: file))) }
    }
  }

  @Test func `any bytes are read as by the reference`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let pieces = [
      "{", "}", "[", "]", "\"", ",", ":", "\\u", "\\", "d83d", "de00", "017f", "\"source\":", "\"\u{17F}tatus\":",
      "\"amount\":", "\"destinations\":[{", "\"identifier\":", "null", "1.5", "e", "0", " ", "\"a\"", "\"", "\n",
      "\u{C5}", "true",
    ]
    for _ in 0..<3_000 {
      let count = Int.random(in: 0..<24, using: &random)
      var body = Array((0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined().utf8)
      if Bool.random(using: &random) { body = Array("{\"reference\":\"r\",".utf8) + body + Array("}".utf8) }
      if let index = body.indices.randomElement(using: &random), count % 4 == 0 {
        body[index] = UInt8.random(in: 0...255, using: &random)
      }
      do { try JSONMembersProperty.check(body) } catch {
        Issue.record("seed \(seed): \(String(decoding: body, as: UTF8.self)): \(error)")
      }
    }
  }

  static let paths: [(String, String, String)] = [
    ("/proxy/balances/:id/identity", "/balances/bln_1/identity", #","target":{"balance_id":"bln_1"}"#),
    (
      "/proxy/identities/:id/tokenize/:field", "/identities/idt%40x/tokenize/Name",
      #","target":{"identity_id":"idt@x","field":"Name"}"#
    ),
    ("/proxy/:id/metadata", "/idt_1/metadata", #","target":{"id":"idt_1"}"#),
    ("/proxy/balances", "/balances", ""),
    ("/proxy/:id", "/a%2525%2Fb", #","target":{"id":"a%25/b"}"#),
  ]

  @Test(arguments: paths)
  func `names the parameters of the path`(pattern: String, path: String, expected: String) {
    let bytes = Array("xx\(path)".utf8)
    let (out, pattern) = (ByteBuffer(capacity: 256), Array(pattern.utf8))
    var target = AuditIntent(0, 0, to: out).target
    out.removeAll()
    target.append(idsIn: bytes.span, 2..<bytes.count, of: pattern.span)
    target.end()
    #expect(out.text == expected)
  }
}
