import HTTP1
import Testing

@Suite struct FieldLinesTests {
  private static let names: [(String, FieldName)] = [
    ("Host", .host), ("Via", .via), ("X-Request-Id", .requestID), ("Keep-Alive", .keepAlive), ("Accept", .other),
  ]

  @Test(arguments: [0, 1, 2, 3, 4, 5])
  func `reports which fields a head has`(count: Int) throws {
    let sent = Self.names.prefix(count)
    var request = RequestHeadParser(limits: HeadLimits())
    var response = ResponseHeadParser(limits: HeadLimits())
    let lines = sent.map { $0.0 + ": h\r\n" }.joined() + "\r\n"
    #expect(try request.parse(latin1("GET / HTTP/1.0\r\n" + lines).span))
    #expect(try response.parse(latin1("HTTP/1.1 204\r\n" + lines).span, answering: .get))
    for kind in FieldName.allCases {
      let isSent = sent.contains { $0.1 == kind }
      let isFound = (request.head.has(kind), response.head.has(kind))
      #expect(isFound == (isSent, isSent))
    }
    request.reset()
    response.reset()
    for kind in FieldName.allCases {
      let isFound = request.head.has(kind) || response.head.has(kind)
      #expect(!isFound)
    }
  }

  @Test func `has a bit for each kind`() { #expect(FieldName.allCases.count <= 32) }

  @Test(arguments: [0, 1, 15, 16, 17, 32, 33, 99])
  func `holds as many lines as the limit allows`(count: Int) throws {
    let expected = ["Host:h"] + (0..<count).map { "X-\($0)" + ($0 % 3 == 0 ? "*" : "") + ":\($0)" }
    let lines = (0..<count).map { "X-\($0): \($0)\r\n" }
    let options = (0..<count).filter { $0 % 3 == 0 }.map { "X-\($0)" }
    var parser = RequestHeadParser(limits: HeadLimits(fieldsMax: 101))
    // The second head reuses the capacity of the first.
    for _ in 0..<2 {
      let head = latin1(
        "GET / HTTP/1.1\r\nHost: h\r\n" + lines.joined() + "Connection: \(options.joined(separator: ","))\r\n\r\n")
      guard case .head(let facts) = feed(&parser, head) else { throw Missing() }
      #expect(facts.fields.dropLast() == expected[...])
      let lineCount = parser.head.fields.count
      #expect(lineCount == count + 2)
      parser.reset()
      let isEmpty = parser.head.fields.isEmpty
      #expect(isEmpty)
    }
  }

  private struct Missing: Error {}
}
