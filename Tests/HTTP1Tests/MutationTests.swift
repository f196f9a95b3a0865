import TestValues
import Testing

@testable import HTTP1

enum Corpus {
  static let requests = [
    "GET /proxy/balances/b1?instance_id=i HTTP/1.1\r\nHost: h:80\r\nAuthorization: Bearer t\r\nAccept: */*\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a.b\r\nContent-Length: 12\r\nExpect: 100-continue\r\nConnection: close, X\r\nX: 1\r\n\r\n{}",
    "PUT /b HTTP/1.1\r\nhost: [::1]:8\r\nTransfer-Encoding: chunked\r\nconnection: keep-alive\r\n\r\n0\r\n\r\n",
    "GET http://H:80/p?q HTTP/1.0\r\nHost: h:80\r\nConnection:\tKeep-Alive\r\nY:\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a=b%41c\r\n\r\n", "GET http://h?x HTTP/1.7\r\nHost: h\r\n\r\n",
    "\r\nHEAD https://h/ HTTP/1.1\r\nHost: h\r\nX_Forwarded_For: \u{e9}\t1 \r\n\r\nGET / HTTP/1.1\r\n\r\n",
  ]
  static let answers = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X, close\r\nX: 1\r\n\r\n{}",
    "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n",
    "HTTP/1.0 302\r\nLocation: /a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
  ]
  static let snippets = [
    "\r\n", "\r", "\n", " ", "\t", ":", ",", "/", "?", "#", "@", "%", "\u{0}", "\u{7f}", "\u{e9}", "0", "9", "[", "]",
    "*", "x", "%41", "=", "OPTIONS", "HTTP/1.2",
    "HTTP/1.0", "HTTP/1.1", "http://h", "Host: h\r\n", "Content-Length: 3\r\n", "Content-Length: 0\r\n", "close",
    "keep-alive",
    "Transfer-Encoding: chunked\r\n", "Connection: x\r\n", "Expect: 100-continue\r\n", "X: y\r\n", "\r\n\r\n", " \r\n",
    "gzip, ",
  ].map(latin1)

  static func mutated(using generator: inout SeededGenerator) -> [UInt8] {
    var bytes = latin1(requests.randomElement(using: &generator)!)
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      let until = min(bytes.count, place + Int.random(in: 0...8, using: &generator))
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
      case 1: bytes.removeSubrange(place..<max(until, min(place + 1, bytes.count - 1)))
      case 2: bytes.insert(contentsOf: bytes[place..<until], at: place)
      case 3: bytes.replaceSubrange(place..<until, with: snippets.randomElement(using: &generator)!)
      default: bytes.insert(contentsOf: snippets.randomElement(using: &generator)!, at: startOfLine(bytes, place))
      }
      if bytes.isEmpty { bytes = [0] }
    }
    return bytes
  }

  private static func startOfLine(_ bytes: [UInt8], _ place: Int) -> Int {
    bytes[..<place].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
  }
}

@Suite struct MutationTests {
  @Test(arguments: Corpus.requests)
  func `parses a request head the same however it is split`(request: String) {
    let bytes = latin1(request)
    let whole = parseRequest(bytes)
    for first in 0...bytes.count { #expect(parseRequest(bytes, cuts: [first]) == whole) }
    #expect(parseRequest(bytes, cuts: Array(0...bytes.count)) == whole)
  }

  @Test(arguments: Corpus.answers)
  func `parses a response head the same however it is split`(answer: String) {
    let bytes = latin1(answer)
    let whole = parseResponse(bytes)
    for first in 0...bytes.count { #expect(parseResponse(bytes, cuts: [first]) == whole) }
    #expect(parseResponse(bytes, cuts: Array(0...bytes.count)) == whole)
  }

  @Test func `keeps nothing of the previous head`() {
    var parser = RequestHeadParser(limits: HeadLimits())
    for request in Corpus.requests + Corpus.requests.reversed() {
      #expect(feed(&parser, latin1(request)) == parseRequest(latin1(request)))
      parser.reset()
      #expect(feed(&parser, latin1("\r\n" + request.dropLast(3))) == parseRequest(latin1("\r\n" + request.dropLast(3))))
      parser.reset()
    }
  }

  @Test(arguments: [1, 2, UInt64.random(in: .min ... .max)])
  func `agrees with the reference parser on mutated heads`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    var wholeHeads = 0
    for step in 0..<2000 {
      let bytes = Corpus.mutated(using: &generator)
      let limits =
        step % 4 == 0 ? HeadLimits(requestLineBytesMax: 46, headerBytesMax: 64, fieldsMax: 3) : HeadLimits()
      let outcome = parseRequest(bytes, limits: limits)
      let cuts = (0..<3).map { _ in Int.random(in: 0...bytes.count, using: &generator) }.sorted()
      let sent = text(bytes).debugDescription
      #expect(parseRequest(bytes, cuts: cuts, limits: limits) == outcome, "seed \(seed), cuts \(cuts), \(sent)")
      let expected = ReferenceParser(limits: limits).parse(bytes)
      if case .head(let facts) = outcome {
        wholeHeads += 1
        #expect(facts == expected, "seed \(seed), \(sent)")
      } else {
        #expect(expected == nil, "seed \(seed), \(outcome), \(sent)")
      }
    }
    #expect((200...1800).contains(wholeHeads), "the mutations are too wild or too tame")
  }

  @Test(arguments: [3, UInt64.random(in: .min ... .max)])
  func `does not trap on any bytes`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<3000 {
      let bytes = (0..<Int.random(in: 0...60, using: &generator)).flatMap { _ in
        Bool.random(using: &generator)
          ? [UInt8.random(in: .min ... .max, using: &generator)] : Corpus.snippets.randomElement(using: &generator)!
      }
      _ = parseRequest(bytes)
      _ = parseResponse(latin1("HTTP/1.1 200 OK\r\n") + bytes)
      var decoder = ChunkedDecoder()
      var offset = 0
      while offset < bytes.count, let step = try? decoder.next(bytes.span, &offset), step != .needsMore {
        if case .end = step { break }
      }
      try? checkPath(bytes.span, 0..<bytes.count)
      var parameters = QueryParameters(0..<bytes.count)
      while let pair = parameters.next(bytes.span) {
        _ = QueryParameters.match(bytes.span, keyOf: pair, ShortText("instance_id"))
      }
    }
  }
}
