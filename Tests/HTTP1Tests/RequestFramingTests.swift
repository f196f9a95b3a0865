import HTTP1
import Testing

private func head(_ lines: [String], version: String = "1.1") -> String {
  "POST / HTTP/\(version)\r\nHost: h\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}

@Suite struct RequestFramingTests {
  @Test(
    arguments: [
      ([], .none, false), (["Content-Length: 0"], .none, true), (["Content-Length: 5"], .length(5), true),
      (["content-length:\t007 "], .length(7), true), (["Transfer-Encoding: chunked"], .chunked, false),
      (["transfer-encoding: CHUNKED"], .chunked, false),
      (["Content-Length: 999999999999999999"], .length(999_999_999_999_999_999), true),
      (["Content_Length: 5"], .none, false),
    ] as [([String], BodyFraming, Bool)])
  func `frames a body as its head specifies (RFC 9112 §6.3)`(lines: [String], framing: BodyFraming, hasLength: Bool) {
    let facts = facts(head(lines))
    #expect(facts?.framing == framing)
    #expect(facts?.hasContentLength == hasLength)
  }

  /// RFC 9110 §8.6; RFC 9112 §6.1, §6.3, §7.1.
  @Test(
    arguments: [
      (["Content-Length: "], .malformed(.contentLengthInvalid)),
      (["Content-Length: +2"], .malformed(.contentLengthInvalid)),
      (["Content-Length: -1"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 0x2"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 2 2"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 2, 2"], .malformed(.contentLengthInvalid)),
      (["Content-Length: \u{b2}"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 2."], .malformed(.contentLengthInvalid)),
      (["Content-Length: 1000000000000000000"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 18446744073709551618"], .malformed(.contentLengthInvalid)),
      (["Content-Length: 2", "Content-Length: 2"], .malformed(.contentLengthRepeated)),
      (["Content-Length: 2", "Content-Length: 3"], .malformed(.contentLengthRepeated)),
      (["Content-Length: 0", "Content-Length: 0"], .malformed(.contentLengthRepeated)),
      (["Content-Length: 2", "Transfer-Encoding: chunked"], .malformed(.bothLengths)),
      (["Transfer-Encoding: chunked", "Content-Length: 2"], .malformed(.bothLengths)),
      (["Transfer-Encoding: chunked", "Content-Length: 0"], .malformed(.bothLengths)),
      (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], .malformed(.transferEncodingRepeated)),
      (["Transfer-Encoding: chunked, chunked"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked, identity"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked, gzip, chunked"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: "], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: ,"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: , chunked"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked,"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked;a=b"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked;"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: \u{b}chunked"], .malformed(.controlByte)),
      (["Transfer-Encoding: \"chunked\""], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: chunked chunked"], .malformed(.transferEncodingInvalid)),
      (["Transfer-Encoding: gzip"], .notImplemented), (["Transfer-Encoding: identity"], .notImplemented),
      (["Transfer-Encoding: xchunked"], .notImplemented), (["Transfer-Encoding: gzip, chunked"], .notImplemented),
      (["Transfer-Encoding: gzip;q=1 , Chunked"], .notImplemented),
      (["Transfer-Encoding : chunked"], .malformed(.fieldNameNotToken)),
      (["Content-Length : 2"], .malformed(.fieldNameNotToken)),
    ] as [([String], HeadFault)])
  func `rejects ambiguous lengths`(lines: [String], expected: HeadFault) {
    #expect(fault(head(lines)) == expected)
  }

  @Test func `rejects Transfer-Encoding on HTTP/1.0 (RFC 9112 §6.1)`() {
    #expect(fault(head(["Transfer-Encoding: chunked"], version: "1.0")) == .malformed(.transferEncodingOnHTTP10))
  }

  @Test func `rejects a bad line without waiting for the end of the head`() {
    #expect(fault("POST / HTTP/1.1\r\nContent-Length: x\r\n") == .malformed(.contentLengthInvalid))
  }
}
