import Testing

@testable import OAuth

/// A form that a test knows to be well-formed.
func form(_ text: String) throws -> FormBody { try FormBody(Array(text.utf8).span) }

/// The fault of a form; nil: it has none.
func formFault(_ bytes: [UInt8]) -> FormFault? {
  do throws(FormFault) {
    _ = try FormBody(bytes.span)
    return nil
  } catch {
    return error
  }
}

@Suite struct FormBodyTests {
  @Test func `decodes as RFC 6749 appendix B does`() throws {
    // " %&+£€"
    #expect(try form("value=+%25%26%2B%C2%A3%E2%82%AC")["value"] == " %&+£€")
    #expect(try form("value=+%25%26%2b%c2%a3%e2%82%ac")["value"] == " %&+£€")
  }

  @Test func `reads the request of RFC 6749 §4_1_3`() throws {
    let body = try form(
      "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA"
        + "&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb")
    #expect(body["grant_type"] == "authorization_code" && body["code"] == "SplxlOBeZQQYbYS6WxSbIA")
    #expect(body["redirect_uri"] == "https://client.example.com/cb" && body["state"] == nil)
  }

  @Test(
    arguments: [
      ("", "a", nil), ("&&", "a", nil), ("a", "a", nil), ("a=", "a", nil), ("a=&b=1", "b", "1"), ("a=1&", "a", "1"),
      ("&a=1", "a", "1"), ("a=1=2", "a", "1=2"), ("a==", "a", "="), ("%61=1", "a", "1"), ("A=1", "a", nil),
      ("a+b=1", "a b", "1"), ("=1", "", "1"), ("a=%2B+", "a", "+ "), ("a;b=1", "a;b", "1"), ("a=1;b=2", "a", "1;b=2"),
    ] as [(String, String, String?)])
  func `splits at ampersands and at the first equals sign`(body: String, name: String, value: String?) throws {
    #expect(try form(body)[name] == value)
  }

  @Test(arguments: [
    "a=%", "a=%2", "a=%zz", "a=%2g", "a=%u0041", "%=1", "a=%00", "a=%0a", "a=%0D", "a=%1f", "a=%7F", "a=\0", "a=\n",
    "a=\t",
    "a=%ff", "a=%C3", "a=%C3%28", "a=%ED%A0%80", "a=%F4%90%80%80", "a=%C0%AF", "%C3=1",
  ])
  func `refuses malformed escapes, other text than UTF-8, and control characters`(body: String) {
    #expect(formFault(Array(body.utf8)) == .malformed)
  }

  @Test(arguments: ["a=1&a=1", "a=1&a=2", "a=1&b=2&a=", "a&a", "a=&a=1", "a=1&%61=2", "=1&=2", "x=1&scope=a&scope=b"])
  func `refuses a repeated parameter, also an empty or an escaped one`(body: String) {
    guard case .repeated = formFault(Array(body.utf8)) else {
      Issue.record("\(body) was not refused")
      return
    }
  }

  @Test func `has bounds`() throws {
    let most = (1...FormBody.parametersMax).map { "p\($0)=1" }.joined(separator: "&")
    #expect(try form(most)["p32"] == "1")
    #expect(try form("&&&" + most + "&&&")["p32"] == "1")
    #expect(formFault(Array((most + "&p33=1").utf8)) == .tooManyParameters)
    let longest = "a=" + String(repeating: "x", count: FormBody.bytesMax - 2)
    #expect(try form(longest)["a"]?.utf8.count == FormBody.bytesMax - 2)
  }
}
