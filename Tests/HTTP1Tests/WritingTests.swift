import Bytes
import HTTP1
import TestValues
import Testing

/// The parsers read back what is written.
@Suite struct WritingTests {
  @Test func `writes a status line for each status (RFC 9112 §4)`() {
    for status in 100...599 where status != 101 {
      let facts = response { $0.append(statusLine: status) }
      #expect(facts?.status == status && facts?.version == .http11)
      #expect(facts?.reason == "\(reasonPhrase(of: status))")
    }
  }

  /// RFC 9110 §15, RFC 6585, RFC 4918 §11.3.
  @Test(arguments: [
    (200, "OK"), (201, "Created"), (304, "Not Modified"), (413, "Content Too Large"), (422, "Unprocessable Content"),
    (423, "Locked"), (429, "Too Many Requests"), (431, "Request Header Fields Too Large"),
    (505, "HTTP Version Not Supported"),
    (299, ""), (599, ""),
  ])
  func `has the registered reason phrases`(status: Int, reason: String) {
    #expect("\(reasonPhrase(of: status))" == reason)
  }

  @Test(arguments: [BodyFraming.none, .length(1), .length(999_999_999_999_999_999), .chunked, .untilClose])
  func `announces a body so that the head parser reads the same framing (RFC 9112 §6.3)`(framing: BodyFraming) {
    let read = response {
      $0.append(statusLine: 200)
      $0.append(framing: framing)
    }
    #expect(read?.framing == (framing == .none ? .untilClose : framing))
    #expect(read?.hasContentLength == (framing != .none && framing != .chunked && framing != .untilClose))
    // A request without a length has no body, and none ends with the connection.
    let request = request {
      $0.append(requestLine: "POST", target: "/")
      $0.append(framing: framing)
    }
    #expect(request?.framing == (framing == .untilClose ? .none : framing))
  }

  @Test(arguments: [0, 1, 12_345])
  func `writes a length, also for no body`(count: Int) {
    let facts = response {
      $0.append(statusLine: 200)
      $0.append(contentLength: count)
    }
    #expect(facts?.framing == (count == 0 ? BodyFraming.none : .length(count)) && facts?.hasContentLength == true)
  }

  @Test(arguments: [true, false], [Version.http10, .http11])
  func `announces persistence in each version (RFC 9112 §9.3)`(keepsAlive: Bool, version: Version) {
    let output = ByteBuffer(capacity: 1)
    output.append(statusLine: 204)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.appendHeadEnd()
    // An HTTP/1.0 peer applies its version's default.
    let text = version == .http10 ? output.text.replacing("HTTP/1.1", with: "HTTP/1.0") : output.text
    guard case .head(let facts) = parseResponse(latin1(text)) else { return #expect(Bool(false), "\(text)") }
    #expect(facts.keepAlive == keepsAlive)
    #expect(facts.fields.isEmpty == (keepsAlive && version == .http11))
  }

  @Test(arguments: [Version.http10, .http11])
  func `frames a body for a peer with or without chunked coding`(version: Version) {
    let anew = version == .http11 ? BodyFraming.chunked : .untilClose
    #expect(BodyFraming.chunked.forwarded(to: version) == anew && BodyFraming.untilClose.forwarded(to: version) == anew)
    #expect(BodyFraming.length(7).forwarded(to: version) == .length(7))
    #expect(BodyFraming.none.forwarded(to: version) == .none)
  }

  @Test func `writes field lines`() {
    let ready = [UInt8](fields: ["E": Array("ready".utf8), "EE": []])
    let facts = response {
      $0.append(statusLine: 200)
      $0.append(field: "A", "literal")
      $0.append(field: "B", text: "größer\t")
      $0.append(field: "C", decimal: 12)
      $0.append(field: "D") { $0.append(text: "appended") }
      $0.append(ready)
      $0.write(atMost: 64) { $0.append(field: "F") { $0.append("in reserved capacity") } }
      $0.append(field: "G", text: "")
      $0.append(fieldName: "H")
      $0.append("in parts")
      $0.appendFieldEnd()
    }
    let expected = [
      "A:literal", "B:größer", "C:12", "D:appended", "E:ready", "EE:", "F:in reserved capacity", "G:", "H:in parts",
    ].map { text(Array($0.utf8)) }
    #expect(facts?.fields == expected)
  }

  /// It would end the line, and the rest would be read as fields.
  @Test func `a control byte in a value traps`() async {
    await #expect(processExitsWith: .failure) { ByteBuffer(capacity: 9).append(field: "A", text: "b\r\nC: d") }
    await #expect(processExitsWith: .failure) { ByteBuffer(capacity: 9).append(field: "A", text: "b\n") }
    await #expect(processExitsWith: .failure) { ByteBuffer(capacity: 9).append(field: "A", text: "\u{0}") }
    await #expect(processExitsWith: .failure) { _ = [UInt8](fields: ["A": Array("b\r".utf8)]) }
  }

  @Test func `writes request lines (RFC 9112 §3)`() {
    let source = Array("xPATCH".utf8)
    for facts in [
      request { $0.append(requestLine: "PATCH", target: "/a?b=c") },
      request {
        $0.write(atMost: source.count + 6 + ByteWriter.requestLineFixedByteCount) { out in
          out.append(requestLine: source.span, method: 1..<6) { $0.append("/a?b=c") }
        }
      },
    ] {
      #expect(facts?.method == "PATCH" && facts?.target == "/a?b=c" && facts?.version == .http11)
    }
  }

  @Test func `writes a complete 100 (Continue) (RFC 9110 §15.2.1)`() throws {
    let output = ByteBuffer(capacity: 1)
    output.appendContinue()
    output.append(statusLine: 200)
    output.appendHeadEnd()
    var parser = ResponseHeadParser(limits: HeadLimits())
    let bytes = latin1(output.text)
    #expect(try parser.parse(bytes.span, answering: .post))
    #expect(parser.head.status == 100 && parser.head.isInterim && parser.head.fields.isEmpty == true)
    let rest = Array(bytes[parser.head.byteCount...])
    parser.reset()
    #expect(try parser.parse(rest.span, answering: .post))
    #expect(parser.head.status == 200 && parser.head.byteCount == rest.count)
  }

  /// Parses a response head with these lines.
  private func response(_ lines: (ByteBuffer) -> Void) -> ResponseFacts? {
    guard case .head(let facts) = parseResponse(head(lines)) else { return nil }
    return facts
  }

  /// Parses a request head with these lines and a Host.
  private func request(_ lines: (ByteBuffer) -> Void) -> RequestFacts? {
    let bytes = head {
      lines($0)
      $0.append(field: "Host", "h")
    }
    guard case .head(let facts) = parseRequest(bytes) else { return nil }
    return facts
  }

  private func head(_ lines: (ByteBuffer) -> Void) -> [UInt8] {
    let output = ByteBuffer(capacity: 1)
    lines(output)
    output.appendHeadEnd()
    return output.withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }
}
