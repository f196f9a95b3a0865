import HTTP1
import Testing

@Suite struct RequestLineTests {
  @Test func `reports the contents of a request head`() throws {
    let head = "POST /proxy/balances?a=1&b=?2 HTTP/1.1\r\nHost: h:80\r\nX:\t v w \t\r\nY:\r\nContent-Length: 5\r\n\r\n"
    let expected = RequestFacts(
      method: "POST", target: "/proxy/balances?a=1&b=?2", path: "/proxy/balances", query: "a=1&b=?2", version: .http11,
      fields: ["Host:h:80", "X:v w", "Y:", "Content-Length:5"], framing: .length(5), hasContentLength: true,
      keepAlive: true, expectsContinue: false, byteCount: head.utf8.count)
    #expect(facts(head) == expected)
    #expect(facts(head + "GET") == expected)
  }

  @Test(arguments: Method.allCases.filter { $0 != .other })
  func `recognizes the methods of RFC 9110 §9 in upper case only`(method: Method) throws {
    func parsed(_ name: String) throws -> Method {
      var parser = RequestHeadParser(limits: HeadLimits())
      #expect(try parser.parse(Array("\(name) / HTTP/1.1\r\nHost: h\r\n\r\n".utf8).span))
      return parser.head.method
    }
    let name = "\(method.text)"
    #expect(try parsed(name) == method)
    #expect(try parsed(name.lowercased()) == .other)
    #expect(try parsed(name + "X") == .other)
  }

  /// RFC 9112 §2.2, §2.3, §3, §3.2.
  @Test(
    arguments: [
      ("GET  / HTTP/1.1", .malformed(.requestLine)),
      ("GET /  HTTP/1.1", .malformed(.version)),
      ("GET / HTTP/1.1 ", .malformed(.version)),
      (" GET / HTTP/1.1", .malformed(.methodNotToken)),
      ("GET\t/ HTTP/1.1", .malformed(.methodNotToken)),
      ("GET /\tHTTP/1.1", .malformed(.targetByte)),
      ("GET /", .malformed(.requestLine)),
      ("GET", .malformed(.requestLine)),
      ("GET ", .malformed(.requestLine)),
      ("G(T / HTTP/1.1", .malformed(.methodNotToken)),
      ("G\u{e9}T / HTTP/1.1", .malformed(.methodNotToken)),
      ("GET /a b HTTP/1.1", .malformed(.version)),
      ("GET /\u{e9} HTTP/1.1", .malformed(.targetByte)),
      ("GET /a#b HTTP/1.1", .malformed(.targetByte)),
      ("GET / HTTP/1.1x", .malformed(.version)),
      ("GET / http/1.1", .malformed(.version)),
      ("GET / HTTP/11", .malformed(.version)),
      ("GET / HTTP/1,1", .malformed(.version)),
      ("GET / HTTP/a.1", .malformed(.version)),
      ("GET / HTTP/1.a", .malformed(.version)),
      ("GET / HTTP/2.0", .versionUnsupported),
      ("GET / HTTP/0.9", .versionUnsupported),
      ("GET / HTTP/1.1\n", .malformed(.bareLF)),
      ("GET / HTTP/1.1\rX", .malformed(.bareCR)),
      ("GET /\u{0} HTTP/1.1", .malformed(.controlByte)),
      ("GET /\u{7f} HTTP/1.1", .malformed(.controlByte)),
      ("\u{16}\u{3}\u{1}\u{2}\u{0}", .malformed(.controlByte)),
    ] as [(String, HeadFault)])
  func `rejects a malformed request line`(line: String, expected: HeadFault) {
    #expect(fault(line + "\r\nHost: h\r\n\r\n") == expected)
  }

  @Test(
    arguments: [
      ("http://h/a?q", "/a", "q"), ("HTTPS://h/", "/", nil), ("/", "/", nil), ("/?", "/", ""), ("//x", "//x", nil),
      ("http://h/a?http://x/b", "/a", "http://x/b"),
      ("http://h", "/", nil), ("http://h?x=1", "/", "x=1"), ("https://h?a/b?", "/", "a/b?"), ("HTTP://h?", "/", ""),
    ] as [(String, String, String?)])
  func `reads path and query of origin-form and absolute-form (RFC 9112 §3.2)`(
    target: String, path: String, query: String?
  ) {
    let facts = facts("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(facts?.target == target)
    #expect(facts?.path == path)
    #expect(facts?.query == query)
  }

  @Test(arguments: [("1.0", Version.http10), ("1.1", .http11), ("1.2", .http11), ("1.9", .http11)])
  func `reads a higher minor version as the highest supported one (RFC 9110 §2.5)`(minor: String, version: Version) {
    #expect(facts("GET / HTTP/\(minor)\r\nHost: h\r\nConnection: x\r\n\r\n")?.version == version)
    #expect(facts("GET / HTTP/\(minor)\r\nHost: h\r\n\r\n")?.keepAlive == (version == .http11))
  }

  @Test(
    arguments: [
      ("OPTIONS", "*", "*"), ("OPTIONS", "http://h", "/"), ("OPTIONS", "http://h/", nil), ("OPTIONS", "/", nil),
      ("OPTIONS", "http://h?x", nil), ("OPTIONS", "/*", nil), ("GET", "http://h", nil),
    ] as [(String, String, String?)])
  func `recognizes an OPTIONS for the whole server (RFC 9112 §3.2.4)`(method: String, target: String, path: String?)
    throws
  {
    let bytes = latin1("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n")
    var parser = RequestHeadParser(limits: HeadLimits())
    #expect(try parser.parse(bytes.span))
    #expect(parser.head.isServerWideOptions(bytes.span) == (path != nil))
    if let path { #expect(text(bytes[parser.head.path]) == path) }
  }

  @Test(arguments: [
    ("HEAD / HTTP/1.1\r\n", true), ("\r\n\r\nHEAD /", true), ("HEAD ", true), ("HEAD", false), ("HEADX / ", false),
    ("head / ", false), ("GET /HEAD ", false), ("\nHEAD / ", false), ("", false), ("\r\n", false),
  ])
  func `recognizes a HEAD by its first bytes`(start: String, isHead: Bool) {
    #expect(RequestHeadParser.isHead(latin1(start).span) == isHead)
  }

  @Test(arguments: ["/", "/?"])
  func `accepts exactly the bytes of a target at each position (RFC 9112 §3.2)`(start: String) {
    for place in 0..<43 {
      for byte in UInt8.min...UInt8.max {
        var rest = [UInt8](repeating: UInt8(ascii: "a"), count: 43)
        rest[place] = byte
        let outcome = parseRequest(latin1("GET \(start)") + rest + latin1(" HTTP/1.1\r\nHost: h\r\n\r\n"))
        guard case .head(let facts) = outcome else {
          #expect(byte <= 0x20 || byte == UInt8(ascii: "#") || byte >= 0x7f)
          continue
        }
        #expect((0x21...0x7e).contains(byte) && byte != UInt8(ascii: "#"))
        let parts = (start + text(rest)).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        #expect(facts.path == parts[0] && facts.query == (parts.count > 1 ? String(parts[1]) : nil))
      }
    }
  }

  @Test(
    arguments: [
      ("h:80", .targetForm), ("*", .targetForm), ("**", .targetForm), ("*?", .targetForm),
      ("ftp://h/", .targetForm), ("http:/h/", .targetForm), ("a/b", .targetForm), ("http://", .targetAuthority),
      ("http:?//", .targetForm), ("?", .targetForm), ("http://?/", .targetAuthority),
      ("http:///a", .targetAuthority), ("http://u@h/", .targetAuthority), ("http://h:x/", .targetAuthority),
      ("http://other/", .hostMismatch), ("http://h:80/", .hostMismatch),
    ] as [(String, HeadFault.Reason)])
  func `rejects other forms of target and a Host that differs from the target`(target: String, reason: HeadFault.Reason)
  {
    #expect(fault("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n") == .malformed(reason))
  }

  @Test func `compares Host and target ignoring case`() {
    #expect(facts("GET http://Example.org:80/ HTTP/1.1\r\nHost: eXAMPLE.org:80\r\n\r\n") != nil)
  }

  @Test func `ignores a bounded number of empty lines before the request line (RFC 9112 §2.2)`() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    let most = String(repeating: "\r\n", count: RequestHeadParser.emptyLinesMax)
    #expect(facts(most + head)?.byteCount == (most + head).utf8.count)
    #expect(fault(most + "\r\n") == .malformed(.emptyLines))
    #expect(fault("\n" + head) == .malformed(.bareLF))
  }

  @Test func `limits the request line at its first excess byte (RFC 9112 §3)`() {
    let limits = HeadLimits(requestLineBytesMax: 20)
    let longest = "GET /12345 HTTP/1.1\r"  // 19 bytes and a CR
    #expect(parseRequest(latin1(longest), limits: limits) == .needsMore)
    #expect(parseRequest(latin1("GET /123456 HTTP/1.1\r\n"), limits: limits) == .needsMore)
    #expect(parseRequest(latin1("GET /123456 HTTP/1.1"), limits: limits) == .needsMore)
    #expect(fault("GET /1234567 HTTP/1.1", limits: limits) == .targetTooLong)
    #expect(fault("GET /1234567 HTTP/1.1\r\nHost: h\r\n\r\n", limits: limits) == .targetTooLong)
    #expect(fault("\r\n\r\nGET /1234567 HTTP/1.1", limits: limits) == .targetTooLong)
  }
}
