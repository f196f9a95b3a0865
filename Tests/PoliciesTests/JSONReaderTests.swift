import Testing

@testable import Policies

@Suite struct JSONReaderTests {
  @Test(arguments: [
    ("{}", "{}"), (" [ ] ", "[]"), ("null", "null"), ("true", "true"), ("false", "false"), ("\t\r\n0\n", "0"),
    ("-0.5e+10", "-0.5e+10"), ("1E-2", "1E-2"), ("12345678901234567890", "12345678901234567890"),
    (#""aé\n\u00e9\ud83d\ude00\"\\\/\b\f\r\t""#, "<aé\né😀\"\\/\u{8}\u{c}\r\t>"),
    (#"{"a":[1,{"b":null}],"c":"d"}"#, "{a:[1,{b:null}],c:<d>}"),
  ])
  func `reads JSON`(text: String, dump: String) throws {
    let (root, faults) = JSONReader.read(Array(text.utf8))
    #expect(faults.isEmpty)
    #expect(try #require(root).dump == dump)
  }

  @Test(arguments: [0, 1, 7, 8, 9, 63, 511, 512, 513, 1_023, 1_024, 1_025, 4_000])
  func `finds the line of a fault at any distance from the beginning`(distance: Int) throws {
    for breaks in [distance, distance / 2, distance / 3] {
      let text = String(repeating: " ", count: distance - breaks) + String(repeating: "\n", count: breaks) + "x"
      #expect(JSONReader.read(Array(text.utf8)).faults.map(\.line) == [breaks + 1])
      let object = "{" + text.dropLast() + "\"a\": 1, \"a\": 2}"
      #expect(JSONReader.read(Array(object.utf8)).faults.map(\.line) == [breaks + 1])
    }
  }

  @Test func `finds members by escaped keys, and no others`() throws {
    let text = #"{"\u0061b": 1, "a\"b": 2, "abc": 3, "a": 4, "": 5, "é": 6}"#
    let root = try #require(JSONReader.read(Array(text.utf8)).root)
    let keys = ["ab", "a\"b", "abc", "a", "", "é", "b", "abcd", "a\\", "u0061b", "e\u{301}"]
    let found = keys.map { key in root.document.member(named: key, of: 0).map { $0 } }
    // By bytes: the last one is the same text in another composition.
    #expect(found == [1, 2, 3, 4, 5, 6, nil, nil, nil, nil, nil])
    #expect(root.document.member(notNamed: ["ab", "a\"b", "abc"], of: 0, from: 1) == 4)
  }

  @Test(arguments: 1...20)
  func `finds a repeated key among any number of keys`(count: Int) {
    let keys = (0..<count).map { "\"k\($0)\": {\"x\": [1]}" } + [#""\u006b0": 1"#]
    let faults = JSONReader.read(Array("{\(keys.joined(separator: ",\n"))}".utf8)).faults
    let fault = JSONFault(line: count + 1, keyPath: "k0", message: "repeated key (first on line 1)")
    #expect(faults == [fault])
  }

  @Test(arguments: [
    ("", 1, "end of file; expected a value"), ("[1,]", 1, "comma before"), ("{\"a\":1,\n}", 2, "comma before"),
    ("{\"a\":1 // no\n}", 1, "comments are not allowed"), ("# no", 1, "comments"), ("NaN", 1, "expected a value"),
    ("[Infinity]", 1, "expected a value"), ("-", 1, "a digit"), ("01", 1, "must not start with 0"),
    ("+1", 1, "expected a value"), (".5", 1, "expected a value"), ("1.", 1, "a digit"), ("1e", 1, "a digit"),
    ("0x10", 1, "the end of the file"), ("nulls", 1, "the end of the file"), ("[1 2]", 1, "\",\" or \"]\""),
    ("{a:1}", 1, "a key in double quotes"), ("{'a':1}", 1, "single quotes"), ("{\"a\" 1}", 1, "\":\" after"),
    ("{\"a\":}", 1, "expected a value"), ("[\n\n1,\n", 4, "end of file"), ("\"abc", 1, "closing quote"),
    ("\"a\nb\"", 1, "control character"), ("\"\\x\"", 1, "unknown escape"),
    ("\"\\u12g4\"", 1, "four hex digits"), ("\"\\ud800\"", 1, "surrogate"), ("\"\\udc00\"", 1, "surrogate"),
    ("\"\\ud800\\u0041\"", 1, "surrogate"), ("\"\\ud800\\n\"", 1, "surrogate"), ("{} {}", 1, "the end of the file"),
    ("\u{feff}{}", 1, "byte order mark"), ("\"\\", 1, "rest of an escape"), ("\u{a0}1", 1, "byte 0xc2"),
    (String(repeating: "[", count: 33), 1, "deeper than 32"),
  ])
  func `rejects what is not JSON`(text: String, line: Int, words: String) throws {
    let (root, faults) = JSONReader.read(Array(text.utf8))
    let fault = try #require(faults.first)
    #expect(root == nil)
    #expect(fault.line == line)
    #expect(fault.message.contains(words), "\(fault.message)")
  }

  @Test(arguments: [
    [0x22, 0xff, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xe2, 0x82, 0x22],
  ])
  func `rejects strings that are not UTF-8`(bytes: [UInt8]) {
    #expect(JSONReader.read(bytes).faults.first?.message.contains("not valid UTF-8") == true)
  }

  @Test func `names every repeated key with both lines`() {
    let (root, faults) = JSONReader.read(Array("{\"a\": [{\"b\": 1,\n\"\\u0062\": 2}],\n\"a\": 3, \"a\": 4}".utf8))
    #expect(root != nil)
    #expect(faults.map(\.keyPath) == ["a[0].b", "a", "a"])
    #expect(faults.map(\.line) == [2, 3, 3])
    #expect(faults.allSatisfy { $0.message == "repeated key (first on line 1)" })
  }

  @Test func `takes 32 levels and rejects 64 MiB and a byte`() {
    let deep = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
    #expect(JSONReader.read(Array(deep.utf8)).root != nil)
    #expect(JSONReader.read([UInt8](repeating: 0x20, count: 64 << 20) + [0x31]).root == nil)
  }

  @Test func `knows where a value stands`() throws {
    let root = try #require(JSONReader.read(Array("{\n  \"a\": [0, {\n    \"b\": 7}]}".utf8)).root)
    guard case .array(let elements)? = root["a"]?.node.value, let member = elements.last?["b"] else {
      Issue.record("no member")
      return
    }
    #expect((member.line, member.node.line, member.offset, member.node.bytes) == (3, 3, 19, 24..<25))
    #expect((member.node.path, member.node.pattern) == ("a[1].b", "a[].b"))
  }

  @Test func `finds a repeated key among many, however it is written`() {
    let keys = (0..<100).map { "k\($0)" }
    for (first, second) in [("k7", "k\\u0037"), ("k99", "k99"), ("\u{e9}", "e\u{301}"), ("\\u0065\u{301}", "\u{e9}")] {
      for others in [keys.filter { $0 != first }, []] {
        let members = ([first] + others + [second]).map { "\"\($0)\": 1" }.joined(separator: ",\n")
        #expect(JSONReader.read(Array("{\(members)}".utf8)).faults.map(\.line) == [others.count + 2])
      }
    }
    let different = keys.map { "\"\($0)\": 1" } + ["\"\": 1", "\"K7\": 1", "\"k\u{e9}\": 1"]
    #expect(JSONReader.read(Array("{\(different.joined(separator: ","))}".utf8)).faults.isEmpty)
  }

  @Test func `survives every cut of a text`() {
    let text = Array(#"{"a":[1.5e3,{"b":null}],"c":"\ud83d\ude00é","d":true}"#.utf8)
    for end in 0..<text.count { #expect(JSONReader.read(Array(text[..<end])).root == nil) }
  }
}

extension JSONNode {
  /// A short form for tests; strings in angle brackets.
  fileprivate var dump: String {
    switch value {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(let text): text
    case .string(let text): "<\(text)>"
    case .array(let elements): "[" + elements.map(\.dump).joined(separator: ",") + "]"
    case .object(let members): "{" + members.map { "\($0.key):\($0.node.dump)" }.joined(separator: ",") + "}"
    }
  }
}
