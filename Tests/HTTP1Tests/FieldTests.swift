import HTTP1
import Testing

/// A head with these lines after a request line and a Host.
private func head(_ lines: String, version: String = "1.1") -> String {
  "POST / HTTP/\(version)\r\nHost: h\r\n\(lines)\r\n\r\n"
}

@Suite struct FieldTests {
  /// RFC 9112 §2.2, §5, §5.1, §5.2; RFC 9110 §5.5, §5.6.2.
  @Test(
    arguments: [
      ("nocolon", .colonMissing), ("X", .colonMissing), ("x-name-of-more-than-24-bytes", .colonMissing),
      (": v", .fieldNameNotToken), ("X : v", .fieldNameNotToken),
      ("X\t: v", .fieldNameNotToken), ("X[]: v", .fieldNameNotToken), ("X\u{e4}: v", .fieldNameNotToken),
      ("X\u{e4}", .fieldNameNotToken), ("a b", .fieldNameNotToken),
      ("x-name-of-more-than-24-bytes(: v", .fieldNameNotToken),
      ("X: a\r\n b", .obsFold), ("X: a\r\n\tb", .obsFold), ("X: a\r\n ", .obsFold), (" X: a", .obsFold),
      ("X: a\u{0}b", .controlByte), ("X: a\u{1f}", .controlByte), ("X: \u{7f}", .controlByte),
      ("X: a\u{b}", .controlByte),
      ("X: a\nb: c", .bareLF), ("X: a\rb", .bareCR), ("X: a\r\rb", .bareCR), ("\rX: a", .bareCR), ("\nX: a", .bareLF),
    ] as [(String, HeadFault.Reason)])
  func `rejects a malformed field line`(line: String, reason: HeadFault.Reason) {
    #expect(fault(head(line)) == .malformed(reason))
  }

  @Test func `rejects whitespace between the request line and the first field (RFC 9112 §2.2)`() {
    #expect(fault("GET / HTTP/1.1\r\n Host: h\r\n\r\n") == .malformed(.obsFold))
  }

  @Test(arguments: [
    ("X: \u{e9}\u{80}\u{ff}", "X:\u{e9}\u{80}\u{ff}"), ("X:a\tb  c", "X:a\tb  c"), ("X: \t ", "X:"), ("X:", "X:"),
    ("X::", "X::"), ("!#$%&'*+-.^_`|~09azAZ:1", "!#$%&'*+-.^_`|~09azAZ:1"),
    ("x-name-of-more-than-24-bytes: v", "x-name-of-more-than-24-bytes:v"),
  ])
  func `accepts obs-text, inner whitespace and empty values, and trims OWS (RFC 9110 §5.5)`(line: String, field: String)
  {
    #expect(facts(head(line))?.fields == ["Host:h", field])
  }

  @Test func `accepts exactly the token bytes at each position of a field name (RFC 9110 §5.6.2)`() {
    let tokens = Set(latin1("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    for place in 0..<34 {
      for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: ":") {
        var field = [UInt8](repeating: UInt8(ascii: "a"), count: 34)
        field[place] = byte
        let outcome = parseRequest(latin1("GET / HTTP/1.0\r\n") + field + latin1(":\r\n\r\n"))
        if case .head = outcome { #expect(tokens.contains(byte)) } else { #expect(!tokens.contains(byte)) }
      }
    }
  }

  @Test(arguments: [UInt8(ascii: "a"), 0xff])
  func `rejects exactly the control bytes at each position of a value (RFC 9110 §5.5)`(filling: UInt8) {
    for place in 0..<43 {
      for byte in UInt8.min...UInt8.max {
        var value = [UInt8](repeating: filling, count: 43)
        value[place] = byte
        let outcome = parseRequest(latin1("GET / HTTP/1.0\r\nX:") + value + latin1("\r\n\r\n"))
        let isContent = byte == 0x09 || byte >= 0x20 && byte != 0x7f
        if case .head = outcome { #expect(isContent) } else { #expect(!isContent) }
      }
    }
  }

  @Test func `accepts exactly the bytes of a name at each position of a Host`() {
    let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    let allowed = Set(latin1(letters + "-._~!$&'()*+,;="))
    for place in 0..<43 {
      for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: ":") && byte != 0x09 && byte != 0x20 {
        var host = [UInt8](repeating: UInt8(ascii: "a"), count: 43)
        host[place] = byte
        let outcome = parseRequest(latin1("GET / HTTP/1.1\r\nHost: ") + host + latin1("\r\n\r\n"))
        // "aa" after a percent sign are the digits of its escape.
        let isAllowed = allowed.contains(byte) || byte == UInt8(ascii: "%") && place < 41
        if case .head = outcome { #expect(isAllowed) } else { #expect(!isAllowed) }
      }
    }
  }

  /// RFC 9112 §3.2, RFC 9110 §7.2, RFC 3986 §3.2.2.
  @Test(arguments: [
    ("h", true), ("h:80", true), ("h:", true), ("a.b-c_d~e", true), ("127.0.0.1:65535", true), ("[::1]", true),
    ("[::ffff:1.2.3.4]:80", true), ("H", true),
    ("", false), (":80", false), ("a b", false), ("a/b", false), ("a@b", false), ("a,b:80:81", false), ("h:8a", false),
    ("h:65536", false), ("h:65530", true), ("h:60000", true), ("h:70000", false), ("h:99999", false), ("h:0", true),
    ("h:6553a", false), ("h:/0", false), ("h:0\u{ba}", false), ("h:00080", true), ("h:000080", false), ("h:-1", false),
    ("[::1", false), ("[]", false), ("[g]", false),
    ("[::1]x", false), ("h%41", true), ("%41", true), ("a=b", true), ("a=b:80", true), ("h%41%e9:80", true),
    ("h%4", false), ("h%", false), ("h%zz", false), ("h%41%", false), ("h%41@", false), ("h%41:x", false),
    ("[::1%41]", false), ("!$&'()*+,;=", true), ("h\u{e9}", false), ("h?", false), ("h#", false), ("[", false),
    ("h:80:81", false),
  ])
  func `accepts a Host that is a host and a port, and no other`(host: String, isValid: Bool) {
    let fault = fault("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(fault == (isValid ? nil : .malformed(.hostInvalid)))
  }

  @Test(
    arguments: [
      ("1.1", 0, .hostMissing), ("1.1", 1, nil), ("1.1", 2, .hostRepeated), ("1.0", 0, nil), ("1.0", 1, nil),
      ("1.0", 2, .hostRepeated),
    ] as [(String, Int, HeadFault.Reason?)])
  func `requires one Host, on HTTP/1.0 at most one (RFC 9112 §3.2)`(
    version: String, count: Int, reason: HeadFault.Reason?
  ) {
    let hosts = String(repeating: "Host: h\r\n", count: count)
    #expect(fault("GET / HTTP/\(version)\r\n\(hosts)\r\n") == reason.map { .malformed($0) })
  }

  /// RFC 9112 §9.3, §9.6; RFC 9110 §7.6.1.
  @Test(arguments: [
    ("1.1", "", true), ("1.1", "close", false), ("1.1", "x, CLOSE", false), ("1.1", "keep-alive, close", false),
    ("1.1", "close\r\nConnection: keep-alive", false), ("1.1", "Keep-Alive", true), ("1.1", "closed", true),
    ("1.1", ",, ,close,", false), ("1.0", "", false), ("1.0", "keep-alive", true),
    ("1.0", "x\r\nconnection:\tKeep-Alive", true),
    ("1.0", "keep-alive, close", false), ("1.0", "keep-alives", false),
  ])
  func `keeps the connection as the version and Connection require`(
    version: String, connection: String, keepAlive: Bool
  ) {
    #expect(facts(head("Connection: \(connection)", version: version))?.keepAlive == keepAlive)
  }

  @Test func `marks the fields that any Connection field names (RFC 9110 §7.6.1)`() {
    let lines =
      "x-secret: 1\r\nConnection: Upgrade, X-SECRET\r\nUpgrade: a\r\nX-Secret2: b\r\nConnection: host\r\nX_Secret: c"
    #expect(
      facts(head(lines))?.fields == [
        "Host:h", "x-secret*:1", "Connection:Upgrade, X-SECRET", "Upgrade*:a", "X-Secret2:b", "Connection:host",
        "X_Secret:c",
      ])
  }

  /// A request forwarded without its length would run into the next one.
  @Test(arguments: ["content-length", "Content-Length", "x, CONTENT-LENGTH", "host, transfer-encoding", "Host"])
  func `accepts a request whose Connection names a framing field, and keeps that field`(options: String) {
    let length = facts(head("Connection: \(options)\r\nContent-Length: 2\r\nX: 1"))
    #expect(length?.framing == .length(2))
    #expect(length?.fields.filter { $0.contains("*") }.allSatisfy { $0 == "X*:1" } == true)
    let chunked = facts(head("Connection: \(options)\r\nTransfer-Encoding: chunked"))
    #expect(chunked?.framing == .chunked)
    #expect(chunked?.fields == ["Host:h", "Connection:\(options)", "Transfer-Encoding:chunked"])
  }

  @Test func `does not treat close and keep-alive as field names`() {
    let lines = "Connection: close, X, Keep-Alive\r\nclose: 1\r\nX: 2\r\nKeep-Alive: 3"
    #expect(
      facts(head(lines))?.fields == ["Host:h", "Connection:close, X, Keep-Alive", "close:1", "X*:2", "Keep-Alive:3"])
  }

  @Test(arguments: ["a b", "\"close\"", "close;a", "(", "a, \u{e9}"])
  func `rejects a Connection option that is not a token`(value: String) {
    #expect(fault(head("Connection: \(value)")) == .malformed(.connectionInvalid))
  }

  @Test func `limits the Connection options of a head`() {
    func connection(_ count: Int) -> String {
      "Connection: " + Array(repeating: "a", count: count).joined(separator: ",")
    }
    #expect(fault(head(connection(32) + "\r\n" + connection(32))) == nil)
    #expect(fault(head(connection(32) + "\r\n" + connection(33))) == .malformed(.tooManyConnectionOptions))
  }

  /// RFC 9110 §10.1.1.
  @Test(arguments: [
    ("1.1", "Expect: 100-continue\r\nContent-Length: 1", true),
    ("1.1", "Content-Length: 1\r\nEXPECT: 100-Continue", true),
    ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked", true),
    ("1.1", "Expect: 100-continue", false), ("1.1", "Expect: 100-continue\r\nContent-Length: 0", false),
    ("1.0", "Expect: 100-continue\r\nContent-Length: 1", false), ("1.1", "Content-Length: 1", false),
  ])
  func `expects 100 before an announced body on HTTP/1.1`(version: String, lines: String, expects: Bool) {
    #expect(facts(head(lines, version: version))?.expectsContinue == expects)
  }

  @Test(arguments: ["x", "", "100-continue, x", "100-continue;a", "100-continued", "200-ok"])
  func `rejects other expectations (RFC 9110 §10.1.1)`(value: String) {
    #expect(fault(head("Expect: \(value)")) == .expectationUnsupported)
    #expect(fault(head("Expect: 100-continue\r\nExpect: \(value)")) == .expectationUnsupported)
  }

  @Test func `limits the field section by bytes and by lines (RFC 9110 §5.4)`() {
    let start = "GET / HTTP/1.0\r\n"
    let bytes = HeadLimits(headerBytesMax: 12)
    #expect(fault(start + "X: 4567\r\nY:\r\n", limits: bytes) == .headersTooLarge)
    #expect(fault(start + "X: 45678\r\n\r\n", limits: bytes) == nil)
    #expect(fault(start + "X: 456789\r\n\r\n", limits: bytes) == .headersTooLarge)
    #expect(fault(start + "X: 4567890\r\n\r\n", limits: bytes) == .headersTooLarge)
    #expect(fault(start + "X: 45678901", limits: bytes) == .headersTooLarge)
    let lines = HeadLimits(fieldsMax: 2)
    #expect(fault(start + "A:\r\nB:\r\n\r\n", limits: lines) == nil)
    #expect(fault(start + "A:\r\nB:\r\nC:\r\n", limits: lines) == .headersTooLarge)
  }
}
