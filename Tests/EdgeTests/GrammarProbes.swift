import Testing

/// Request lines and fields (RFC 9112 §2 to §5, RFC 9110 §5 and §7).
@Suite struct GrammarProbes {
  static let lines: [Probe] = [
    Probe("§2.2: an empty line in front is read over", "\r\nGET {T} HTTP/1.1\r\n{H}\r\n", .served),
    Probe(
      "§2.2: a line before the first field that begins with a blank", "GET {T} HTTP/1.1\r\n {H}\r\n", .rejected(400)),
    Probe("§2.2: what is not HTTP", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{fc}\r\n\r\n", .rejected(400)),
    Probe("§2.2: a bare LF ends no line", "GET {T} HTTP/1.1\n{H}\n", .rejected(400)),
    Probe("§2.3: a major version that is not spoken", "GET {T} HTTP/2.0\r\n{H}\r\n", .rejected(505)),
    Probe("§2.3: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .rejected(505)),
    Probe("9110 §2.5: a minor version that is not known", "GET {T} HTTP/1.2\r\n{H}\r\n", .served),
    Probe("§2.3: a version with a tail", "GET {T} HTTP/1.1x\r\n{H}\r\n", .rejected(400)),
    Probe("§2.3: the name of the protocol has its case", "GET {T} http/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§2.3: HTTP/1.0 is served once", "GET {T} HTTP/1.0\r\n{H}\r\n", .servedLast),
    Probe("§3: two spaces", "GET  {T} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3: no version", "GET {T}\r\n{H}\r\n", .rejected(400)),
    Probe("§3: a space in the target", "GET {T} x HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3: a tab for a space", "GET\t{T} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3: a byte beyond ASCII in the target", "GET {T}\u{e9} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe(
      "§3: a line of 8000 bytes is read", "GET {T}&x=\(String(repeating: "a", count: 7_900)) HTTP/1.1\r\n{H}\r\n",
      .served),
    Probe("§3: a longer one", "GET {T}&x=\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\n{H}\r\n", .rejected(414)),
    Probe("§3.1: a method that is not known", "BREW {T} HTTP/1.1\r\n{H}\r\n", .answered(405)),
    Probe("§3.1: methods have their case", "get {T} HTTP/1.1\r\n{H}\r\n", .answered(405)),
    Probe("§3.1: a method is a token", "G(T {T} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("9110 §9.3.8: TRACE gives nothing back", "TRACE {T} HTTP/1.1\r\n{H}Cookie: c\r\n\r\n", .answered(405)),
    Probe("9110 §9.3.6: no tunnel", "CONNECT gate:80 HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3.2.2: absolute-form", "GET http://gate{T} HTTP/1.1\r\n{H}\r\n", .served),
    Probe("§3.2.2: absolute-form for another host", "GET http://other{T} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("9110 §4.2.4: userinfo in the target", "GET http://u:p@gate{T} HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3.2.3: authority-form", "GET gate:80 HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe("§3.2.4: asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n", .answered(204)),
    Probe("§3.2.4: asterisk-form of another method", "GET * HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe(
      "9110 §4.2.3: absolute-form without a path is one for /",
      "GET http://gate?instance_id=one HTTP/1.1\r\n{H}\r\n", .answered(404)),
    Probe("3629 §3: an escape that is not UTF-8", "GET /proxy/balances/%ff HTTP/1.1\r\n{H}\r\n", .answered(400)),
    Probe("3629 §3: an overlong dot", "GET /proxy/balances/%c0%ae HTTP/1.1\r\n{H}\r\n", .answered(400)),
    Probe("9110 §4.2.5: a fragment", "GET {T}#x HTTP/1.1\r\n{H}\r\n", .rejected(400)),
    Probe(
      "3986 §2.1: a malformed escape in the path", "GET /proxy/bal%zzances HTTP/1.1\r\n{H}\r\n", .answered(400)),
  ]

  static let fields: [Probe] = [
    Probe("§2.2: a bare CR in a value", "GET {T} HTTP/1.1\r\n{H}X: a\rb\r\n\r\n", .rejected(400)),
    Probe("§5: a line without a colon", "GET {T} HTTP/1.1\r\n{H}nocolon\r\n\r\n", .rejected(400)),
    Probe("§5: no name", "GET {T} HTTP/1.1\r\n{H}: v\r\n\r\n", .rejected(400)),
    Probe("§5: a name that is not a token", "GET {T} HTTP/1.1\r\n{H}X[]: v\r\n\r\n", .rejected(400)),
    Probe("§5: a name beyond ASCII", "GET {T} HTTP/1.1\r\n{H}X\u{e4}: v\r\n\r\n", .rejected(400)),
    Probe("§5.1: a blank before the colon", "GET {T} HTTP/1.1\r\n{H}X : v\r\n\r\n", .rejected(400)),
    Probe("§5.1: the same, on a length", "POST {T} HTTP/1.1\r\n{H}Content-Length : 2\r\n\r\n{}", .rejected(400)),
    Probe("§5.2: a folded line", "GET {T} HTTP/1.1\r\n{H}X: a\r\n b\r\n\r\n", .rejected(400)),
    Probe("§5.2: an empty folded line", "GET {T} HTTP/1.1\r\n{H}X: a\r\n \t\r\n\r\n", .rejected(400)),
    Probe("9110 §5.5: NUL in a value", "GET {T} HTTP/1.1\r\n{H}X: a\u{0}b\r\n\r\n", .rejected(400)),
    Probe("9110 §5.5: DEL in a value", "GET {T} HTTP/1.1\r\n{H}X: a\u{7f}b\r\n\r\n", .rejected(400)),
    Probe("9110 §5.5: bytes beyond ASCII are data", "GET {T} HTTP/1.1\r\n{H}X: a\u{e9}b\r\n\r\n", .served),
    Probe("9110 §5.5: blanks around, and nothing at all", "GET {T} HTTP/1.1\r\n{H}X:\t v \t\r\nY:\r\n\r\n", .served),
    Probe(
      "9110 §5.4: more than the bound", "GET {T} HTTP/1.1\r\n{H}X: \(String(repeating: "a", count: 40_000))\r\n\r\n",
      .rejected(431)),
    Probe(
      "9110 §5.4: more fields than the bound",
      "GET {T} HTTP/1.1\r\n{H}\(String(repeating: "X: y\r\n", count: 101))\r\n", .rejected(431)),
    Probe("§3.2: no Host", "GET {T} HTTP/1.1\r\nAuthorization: Bearer x\r\n\r\n", .rejected(400)),
    Probe("§3.2: two of them", "GET {T} HTTP/1.1\r\n{H}Host: gate\r\n\r\n", .rejected(400)),
    Probe(
      "3986 §3.2.2: a Host with sub-delims and escapes",
      "GET {T} HTTP/1.1\r\n{H}\r\n".replacing("{H}", with: Stage.lines.replacing("gate", with: "a=b%41")), .served),
    Probe("3986 §2.1: a Host with a malformed escape", "GET {T} HTTP/1.1\r\nHost: a%4\r\n\r\n", .rejected(400)),
    Probe("§3.2: a Host with a space", "GET {T} HTTP/1.1\r\nHost: a b\r\n\r\n", .rejected(400)),
    Probe("§3.2: a Host with a slash", "GET {T} HTTP/1.1\r\nHost: a/b\r\n\r\n", .rejected(400)),
    Probe("§3.2: a Host with userinfo", "GET {T} HTTP/1.1\r\nHost: a@b\r\n\r\n", .rejected(400)),
    Probe("§3.2: a list of hosts", "GET {T} HTTP/1.1\r\nHost: a,b:80:81\r\n\r\n", .rejected(400)),
    Probe(
      "9110 §10.1.1: an expectation that is not known",
      "POST {T} HTTP/1.1\r\n{H}Expect: x\r\nContent-Length: 2\r\n\r\n{}", .rejected(417)),
    Probe(
      "9110 §7.8: no upgrade",
      "GET {T} HTTP/1.1\r\n{H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
      .served),
  ]

  @Test(arguments: lines)
  func `a request line is read or refused`(probe: Probe) throws { try probe.check(on: Stage.shared.get()) }

  @Test(arguments: fields)
  func `a field is read or refused`(probe: Probe) throws { try probe.check(on: Stage.shared.get()) }
}
