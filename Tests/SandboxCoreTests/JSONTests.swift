import SandboxCore
import Testing

struct JSONTests {
  @Test(arguments: [
    ("", "EOF"), ("  \n", "EOF"), ("{", "unexpected EOF"), ("[1,", "unexpected EOF"), (#"{"a":"#, "unexpected EOF"),
    ("tru", "unexpected EOF"), (#""a"#, "unexpected EOF"), (#""\u12"#, "unexpected EOF"), ("-", "unexpected EOF"),
    ("x", "invalid character 'x' looking for beginning of value"),
    ("{,", "invalid character ',' looking for beginning of object key string"),
    (#"{"a" 1}"#, "invalid character '1' after object key"),
    (#"{"a":1 "b"}"#, #"invalid character '"' after object key:value pair"#),
    (#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
    ("[1 2]", "invalid character '2' after array element"),
    ("[1,]", "invalid character ']' looking for beginning of value"),
    ("trux", "invalid character 'x' in literal true (expecting 'e')"),
    ("[1.x]", "invalid character 'x' after decimal point in numeric literal"),
    ("[1ex]", "invalid character 'x' in exponent of numeric literal"),
    ("[-x]", "invalid character 'x' in numeric literal"),
    ("[01]", "invalid character '1' after array element"),
    (#""\q""#, "invalid character 'q' in string escape code"),
    (#""\u12g4""#, #"invalid character 'g' in \u hexadecimal character escape"#),
    ("\"a\nb\"", #"invalid character '\n' in string literal"#),
    ("'", #"invalid character '\'' looking for beginning of value"#),
    ("\u{01}", #"invalid character '\x01' looking for beginning of value"#),
    ("é", "invalid character 'Ã' looking for beginning of value"),
    (String(repeating: "[", count: 100_000), "exceeded max depth"),
  ])
  func `refuses invalid JSON with the messages of Go's decoder`(text: String, message: String) {
    #expect(throws: JSONFault.self) { try JSONReader.read(Array(text.utf8)) }
    do { _ = try JSONReader.read(Array(text.utf8)) } catch { #expect(error.message == message) }
  }

  @Test(arguments: [
    (#"{"b":1,"a":[true,false,null,{}],"b":[]}"#, #"{"b":1,"a":[true,false,null,{}],"b":[]}"#),
    ("12345678901234567890.1234567890E+7 trailing", "12345678901234567890.1234567890E+7"),
    (" [ 1 , -0.5e-7 ] ", "[1,-0.5e-7]"),
    (#""\"\\\/\b\f\n\r\té😀""#, #""\"\\/\b\f\n\r\té😀""#),
    (#""\u00e9\ud83d\ude00""#, #""é😀""#),
    (#""\ud83d\u0041\ude00""#, #""\#u{FFFD}A\#u{FFFD}""#),
    ("\"<&>\u{2028}\\u0001\"", #""\u003c\u0026\u003e\u2028\u0001""#),
    ("12", "12"),
  ])
  func `keeps order and digits and escapes as Go does`(text: String, written: String) throws {
    #expect(String(decoding: try JSONReader.read(Array(text.utf8)).bytes, as: UTF8.self) == written)
  }

  @Test
  func `replaces bytes that are not UTF-8 by replacement characters`() throws {
    #expect(try JSONReader.read([0x22, 0x61, 0xFF, 0xC3, 0x22]) == .string("a\u{FFFD}\u{FFFD}"))
  }

  @Test
  func `knows every beginning of a text for an unfinished one`() throws {
    let text = Array(#"{"a":[1.5e3,true,null,"\u00e9\n"],"b":{"c":-2}}"#.utf8)
    for length in 1..<text.count {
      #expect(throws: JSONFault.truncated, "\(length) bytes") { try JSONReader.read(Array(text.prefix(length))) }
    }
    #expect(throws: JSONFault.empty) { try JSONReader.read([]) }
  }
}
