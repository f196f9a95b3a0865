import Testing

@testable import Gateway

@Suite struct BodyIDTests {
  /// What Go 1.2x's encoding/json takes from a body into a struct with `identity_id` and `ledger_id`.
  static let bodies: [(String, String?, String?)] = [
    (#"{"identity_id": "idt_1"}"#, "idt_1", nil),
    (#" {"ledger_id":"ldg_1","identity_id":"idt_1"} "#, "idt_1", "ldg_1"),
    (#"{"Identity_ID":"a"}"#, "a", nil),
    (#"{"identity_id":"a","IDENTITY_ID":"b"}"#, "b", nil),
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

  @Test(arguments: bodies)
  func `reads a body as Core does`(body: String, identity: String?, ledger: String?) {
    let ids = BodyIDs(Array(body.utf8).span)
    #expect(ids.identityID.map { String(decoding: $0, as: UTF8.self) } == identity)
    #expect(ids.ledgerID.map { String(decoding: $0, as: UTF8.self) } == ledger)
  }

  @Test(arguments: bodies)
  func `a truncated body names nothing`(body: String, identity: String?, ledger: String?) {
    let bytes = Array(body.utf8)
    guard let end = bytes.lastIndex(of: UInt8(ascii: "}")) else { return }
    for cut in 0..<end where !body.contains("trailing") || cut < end {
      #expect(BodyIDs(bytes.span.extracting(0..<cut)) == BodyIDs(Span()))
    }
  }

  @Test(arguments: ["[", #"{"a":"#, #"[{"a":"#])
  func `does not recurse into deep nesting`(opening: String) {
    for depth in [100, 9_000, 30_000] {
      let body = Array((#"{"identity_id":"a","x":"# + String(repeating: opening, count: depth)).utf8)
      #expect(BodyIDs(body.span).identityID == nil)
    }
    let nested = String(repeating: "[", count: 9_000) + String(repeating: "]", count: 9_000)
    #expect(BodyIDs(Array(#"{"identity_id":"a","x":\#(nested)}"#.utf8).span).identityID != nil)
    let tooDeep = String(repeating: "[", count: 10_001) + String(repeating: "]", count: 10_001)
    #expect(BodyIDs(Array(#"{"identity_id":"a","x":\#(tooDeep)}"#.utf8).span).identityID == nil)
  }

  @Test func `omits values that are too long for an id`() {
    let long = String(repeating: "x", count: BodyIDs.idBytesMax)
    #expect(BodyIDs(Array(#"{"identity_id":"\#(long)"}"#.utf8).span).identityID?.count == 256)
    #expect(BodyIDs(Array(#"{"identity_id":"\#(long)y"}"#.utf8).span).identityID == nil)
    #expect(BodyIDs(Array(#"{"identity_id":"a","identity_id":"\#(long)y"}"#.utf8).span).identityID == nil)
  }

  @Test func `any bytes are read safely`() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array(#"{}[]",:\u09identity_id "#.utf8) + [0, 0x80, 0xC3, 0xFF]
    for _ in 0..<20_000 {
      let body = (0..<Int.random(in: 0..<60, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      _ = BodyIDs(body.span)
    }
  }

  static let paths: [(String, String, [[String]])] = [
    ("/proxy/balances/:id/identity", "/balances/bln_1/identity", [["balance_id", "bln_1"]]),
    (
      "/proxy/identities/:id/tokenize/:field", "/identities/idt%40x/tokenize/Name",
      [["identity_id", "idt@x"], ["field", "Name"]]
    ),
    ("/proxy/:id/metadata", "/idt_1/metadata", [["id", "idt_1"]]),
    ("/proxy/balances", "/balances", []),
  ]

  @Test(arguments: paths)
  func `names the parameters of the path`(pattern: String, path: String, expected: [[String]]) {
    let bytes = Array("xx\(path)".utf8)
    let ids = auditedIDs(pattern: Array(pattern.utf8), path: bytes.span, corePath: 2..<bytes.count)
    #expect(
      ids.map { [String(decoding: $0.key, as: UTF8.self), String(decoding: $0.value, as: UTF8.self)] } == expected)
  }
}
