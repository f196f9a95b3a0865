import HTTP1
import Testing

private func response(_ text: String, answering method: Method = .get) -> ResponseFacts? {
  guard case .head(let facts) = parseResponse(latin1(text), answering: method) else { return nil }
  return facts
}

private func responseFault(_ text: String, limits: HeadLimits = HeadLimits()) -> ResponseFault? {
  guard case .fault(let fault) = parseResponse(latin1(text), limits: limits) else { return nil }
  return fault
}

@Suite struct ResponseTests {
  @Test func `reports the contents of a response head`() {
    let head = "HTTP/1.1 201 Created \u{e9}\r\nContent-Length: 2\r\nX:  a \r\nConnection: x\r\n\r\n"
    let expected = ResponseFacts(
      status: 201, reason: "Created \u{e9}", version: .http11, fields: ["Content-Length:2", "X*:a", "Connection:x"],
      framing: .length(2), hasContentLength: true, keepAlive: true, byteCount: latin1(head).count)
    #expect(response(head + "{}") == expected)
  }

  @Test(arguments: [
    ("HTTP/1.1 200 ", ""), ("HTTP/1.1 200", ""), ("HTTP/1.0 599 a  b", "a  b"), ("HTTP/1.1 100 \t", "\t"),
  ])
  func `reads a reason that may be missing (RFC 9112 §4)`(line: String, reason: String) {
    #expect(response(line + "\r\n\r\n")?.reason == reason)
  }

  @Test(
    arguments: [
      ("HTTP/1.x 200 OK", .version), ("HTTP/1.1  200 OK", .statusLine),
      ("HTTP/1.1 20 OK", .statusLine), ("HTTP/1.1 2000 OK", .statusLine), ("HTTP/1.1 2x0 OK", .statusLine),
      ("HTTP/1.1 099 OK", .status), ("HTTP/1.1 600 OK", .status),
      ("HTTP/1.1 101 Switching Protocols", .switchingProtocols),
      ("HTTP/1.1\t200 OK", .statusLine), ("HTTP/1.1 200\tOK", .statusLine), ("HTTP/1.1 200 O\u{0}K", .controlByte),
      ("HTTP/1.1 200 OK\n", .bareLF), ("HTTP/1.1", .statusLine), ("HTTP/1. 200 OK", .statusLine),
    ] as [(String, HeadFault.Reason)])
  func `rejects a malformed status line (RFC 9112 §4)`(line: String, reason: HeadFault.Reason) {
    #expect(responseFault(line + "\r\n\r\n") == .malformed(reason))
  }

  @Test func `reads a higher minor version as 1.1 (RFC 9110 §2.5)`() {
    #expect(response("HTTP/1.2 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?.version == .http11)
  }

  @Test(arguments: ["h", "HTTP/2", "HTTP/1,", "\r", "\n", "HTTq", "\u{16}"])
  func `rejects anything but HTTP/1 at the first wrong byte`(start: String) {
    #expect(responseFault(start) == .malformed(.statusLine))
    #expect(parseResponse(Array(latin1(start).dropLast())) == .needsMore)
  }

  /// RFC 9112 §6.1, §6.3.
  @Test(
    arguments: [
      ("Content-Length: 2\r\nContent-Length: 2", .contentLengthRepeated),
      ("Content-Length: 2, 2", .contentLengthInvalid),
      ("Content-Length: x", .contentLengthInvalid), ("Content-Length: 2\r\nTransfer-Encoding: chunked", .bothLengths),
      ("Transfer-Encoding: chunked\r\nContent-Length: 2", .bothLengths),
      ("Transfer-Encoding: gzip, chunked", .transferCodingUnknown), ("Transfer-Encoding: gzip", .transferCodingUnknown),
      ("Transfer-Encoding: chunked, gzip", .transferEncodingInvalid), ("X: a\r\n b", .obsFold),
      ("X : a", .fieldNameNotToken),
    ] as [(String, HeadFault.Reason)])
  func `rejects a response with an ambiguous body`(lines: String, reason: HeadFault.Reason) {
    #expect(responseFault("HTTP/1.1 200 OK\r\n\(lines)\r\n\r\n") == .malformed(reason))
  }

  /// Dropped as hop-by-hop, the length would be missing from a persistent response, and the next one would run into it.
  @Test(arguments: [
    "Connection: content-length", "Connection: Content-Length", "connection: x, CONTENT-LENGTH ,y",
    "Connection: transfer-encoding", "Connection: close, Transfer-Encoding",
    "Connection: x\r\nConnection: content-length",
  ])
  func `rejects a response whose Connection names a framing field (RFC 9110 §7.6.1)`(line: String) {
    for lengths in ["", "\r\nContent-Length: 2", "\r\nTransfer-Encoding: chunked"] {
      #expect(responseFault("HTTP/1.1 200 OK\r\n\(line)\(lengths)\r\n\r\n") == .malformed(.connectionNamesFraming))
      #expect(responseFault("HTTP/1.1 200 OK\(lengths)\r\n\(line)\r\n\r\n") == .malformed(.connectionNamesFraming))
    }
  }

  @Test(arguments: ["trailer", "te", "upgrade", "host", "content-lengths", "content_length", "keep-alive", "x"])
  func `accepts a response whose Connection names another field`(option: String) {
    let facts = response("HTTP/1.1 200 OK\r\nConnection: \(option)\r\nContent-Length: 2\r\n\r\n")
    #expect(facts?.framing == .length(2) && facts?.fields == ["Connection:\(option)", "Content-Length:2"])
  }

  @Test func `rejects Transfer-Encoding in an HTTP/1.0 response (RFC 9112 §6.1)`() {
    #expect(
      responseFault("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == .malformed(.transferEncodingOnHTTP10))
  }

  static let lengths: [(String, BodyFraming)] = [
    ("", .untilClose), ("Content-Length: 0\r\n", .none), ("Content-Length: 7\r\n", .length(7)),
    ("Transfer-Encoding: chunked\r\n", .chunked),
  ]

  @Test(arguments: [100, 103, 200, 204, 304, 404, 500], lengths)
  func `frames the body by status, method and length (RFC 9112 §6.3)`(status: Int, length: (String, BodyFraming)) {
    let head = "HTTP/1.1 \(status) x\r\n\(length.0)\r\n"
    let neverHasBody = status < 200 || status == 204 || status == 304
    let framing = neverHasBody ? .none : length.1
    #expect(response(head)?.framing == framing)
    #expect(response(head, answering: .post)?.framing == framing)
    #expect(response(head, answering: .head)?.framing == BodyFraming.none)
    let tunnels = status == 200
    #expect(response(head, answering: .connect)?.framing == (tunnels ? .untilClose : framing))
    #expect(response(head)?.hasContentLength == length.0.hasPrefix("Content"))
  }

  @Test(arguments: [
    ("HTTP/1.1 200 x\r\nContent-Length: 1", true), ("HTTP/1.1 200 x", false), ("HTTP/1.1 204 x", true),
    ("HTTP/1.1 204 x\r\nConnection: close", false), ("HTTP/1.0 200 x\r\nContent-Length: 1", false),
    ("HTTP/1.0 200 x\r\nContent-Length: 1\r\nConnection: keep-alive", true),
    ("HTTP/1.0 200 x\r\nConnection: keep-alive", false), ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked", true),
  ])
  func `keeps the connection only if the body is delimited (RFC 9112 §9.3)`(head: String, keepAlive: Bool) {
    #expect(response(head + "\r\n\r\n")?.keepAlive == keepAlive)
  }

  @Test func `limits the status line, field bytes and field lines`() {
    let limits = HeadLimits(requestLineBytesMax: 15, headerBytesMax: 10, fieldsMax: 2)
    #expect(responseFault("HTTP/1.1 200 OK\r\nX: 456\r\n\r\n", limits: limits) == nil)
    #expect(responseFault("HTTP/1.1 200 OKK", limits: limits) == .headTooLarge)
    #expect(responseFault("HTTP/1.1 200 OK\r\nX: 4567\r\n\r\n", limits: limits) == .headTooLarge)
    #expect(responseFault("HTTP/1.1 200 OK\r\nX:\r\nX\r\n", limits: HeadLimits(fieldsMax: 1)) == .headTooLarge)
  }

  @Test func `reads consecutive interim responses (RFC 9110 §15.2)`() throws {
    let interim = latin1("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n")
    let final = latin1("HTTP/1.1 204 No Content\r\n\r\n")
    var parser = ResponseHeadParser(limits: HeadLimits())
    #expect(try parser.parse((interim + final).span, answering: .post))
    #expect(parser.head.isInterim == true)
    #expect(parser.head.byteCount == interim.count)
    parser.reset()
    #expect(try parser.parse(final.span, answering: .post))
    #expect(parser.head.status == 204)
    #expect(parser.head.isInterim == false)
    #expect(parser.head.fields.isEmpty == true)
  }
}

@Suite struct FaultTextTests {
  @Test func `every reason has a distinct text`() {
    let texts = HeadFault.Reason.allCases.map { "\($0.text)" }
    #expect(texts.allSatisfy { !$0.isEmpty && !$0.hasSuffix(".") } && Set(texts).count == texts.count)
    #expect("\(ResponseFault.malformed(.bareLF).text)" == "\(HeadFault.Reason.bareLF.text)")
    #expect("\(ResponseFault.headTooLarge.text)" == "the head is too large")
  }
}
