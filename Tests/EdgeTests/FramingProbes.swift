import TestSupport
import Testing

/// Where bodies and connections end (RFC 9112 §6 to §9).
@Suite struct FramingProbes {
  /// What would be served if the preceding body were read as shorter than it is.
  private static let hidden = "GET {T} HTTP/1.1\r\n{H}\r\n"
  private static let chunked = "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n"

  static let lengths: [Probe] = [
    Probe("§6.3: a length", "POST {T} HTTP/1.1\r\n{H}Content-Length: 2\r\n\r\n{}", .served),
    Probe("§6.3: no length, no body", "POST {T} HTTP/1.1\r\n{H}\r\n", .served),
    Probe("§6.3: a GET with a body", "GET {T} HTTP/1.1\r\n{H}Content-Length: 2\r\n\r\n{}", .served),
    Probe(
      "§6.3: two lengths", "POST {T} HTTP/1.1\r\n{H}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", .rejected(400)),
    Probe(
      "§6.3: two equal lengths", "POST {T} HTTP/1.1\r\n{H}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
      .rejected(400)),
    Probe("§6.3: a list of lengths", "POST {T} HTTP/1.1\r\n{H}Content-Length: 2, 2\r\n\r\n{}", .rejected(400)),
    Probe("§6.3: a length with a sign", "POST {T} HTTP/1.1\r\n{H}Content-Length: +2\r\n\r\n{}", .rejected(400)),
    Probe("§6.3: a length below zero", "POST {T} HTTP/1.1\r\n{H}Content-Length: -1\r\n\r\n", .rejected(400)),
    Probe("§6.3: a length in another base", "POST {T} HTTP/1.1\r\n{H}Content-Length: 0x2\r\n\r\n{}", .rejected(400)),
    Probe("§6.3: two numbers", "POST {T} HTTP/1.1\r\n{H}Content-Length: 2 2\r\n\r\n{}", .rejected(400)),
    Probe("§6.3: no number", "POST {T} HTTP/1.1\r\n{H}Content-Length: \r\n\r\n", .rejected(400)),
    Probe("§6.3: 2^64 + 2", "POST {T} HTTP/1.1\r\n{H}Content-Length: 18446744073709551618\r\n\r\n{}", .rejected(400)),
    Probe("§6.3: 2^63", "POST {T} HTTP/1.1\r\n{H}Content-Length: 9223372036854775808\r\n\r\n{}", .rejected(400)),
    Probe("9110 §15.5.14: 10 GB", "POST {T} HTTP/1.1\r\n{H}Content-Length: 10000000000\r\n\r\n{}", .rejected(413)),
  ]

  static let codings: [Probe] = [
    Probe(
      "§6.1: both lengths",
      "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + hidden,
      .rejected(400)
    ),
    Probe(
      "§6.1: chunked is not the last coding",
      "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", .rejected(400)),
    Probe(
      "§6.1: a coding that is not known", "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      .rejected(501)),
    Probe(
      "§6.1: a name that ends like chunked", "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      .rejected(501)),
    Probe(
      "§6.1: chunked twice",
      "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      .rejected(400)
    ),
    Probe(
      "§6.1: chunked in HTTP/1.0",
      "POST {T} HTTP/1.0\r\n{H}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
      .rejected(400)),
    Probe(
      "§7.1: extensions and trailers are read and dropped", chunked + "2;a=\"b;c\"\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
      .served),
    Probe("§7.1: one byte a chunk", chunked + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", .served),
    Probe("§7.1: data beyond its size", chunked + "2\r\n{}x\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1: another byte for the CR behind data", chunked + "2\r\n{}x\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1: a size in C", chunked + "0x2\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1: a size below zero", chunked + "-2\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1: 2^64 + 2", chunked + "10000000000000002\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1: 2^40, which is too large before it has come", chunked + "10000000000\r\nx", .rejected(413)),
    Probe("§7.1: bare LF", chunked + "2\n{}\n0\n\n", .rejected(400)),
    Probe("§7.1.1: an extension without a name", chunked + "2;\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1.1: an extension whose name is not a token", chunked + "2;a[=b\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe("§7.1.1: blanks around an extension", chunked + "2 ; a = \"b\"\r\n{}\r\n0\r\n\r\n", .served),
    Probe("§7.1.1: LF in an extension", chunked + "2;\n\r\n{}\r\n0\r\n\r\n", .rejected(400)),
    Probe(
      "§7.1.1: extensions without end", chunked + "2;" + String(repeating: "a", count: 9_000) + "\r\n{}\r\n0\r\n\r\n",
      .rejected(400)),
    Probe("§7.1.2: a trailer that is not a field", chunked + "0\r\nX T: 1\r\n\r\n", .rejected(400)),
  ]

  static let connections: [Probe] = [
    Probe("§9.3: a connection persists", "GET {T} HTTP/1.1\r\n{H}\r\n", .served),
    Probe("§9.6: close is the end", "GET {T} HTTP/1.1\r\n{H}Connection: close\r\n\r\n" + hidden, .servedLast),
    Probe(
      "§9.6: close in a list, in any case", "GET {T} HTTP/1.1\r\n{H}Connection: x, CLOSE\r\n\r\n" + hidden, .servedLast),
    Probe("9110 §9.3.2: HEAD has no content", "HEAD {T} HTTP/1.1\r\n{H}\r\n", .served),
    Probe(
      "§9.6: a client that has ended its side is answered", "GET {T} HTTP/1.1\r\n{H}Connection: close\r\n\r\n",
      .servedLast, ends: true),
    Probe(
      "9110 §10.1.1: no 100 for a body that is there",
      "POST {T} HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", .served),
    Probe(
      "9110 §10.1.1: nor to HTTP/1.0", "POST {T} HTTP/1.0\r\n{H}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
      .servedLast),
  ]

  @Test(arguments: lengths)
  func `a length is read or refused`(probe: Probe) throws { try probe.check(on: Stage.shared.get()) }

  @Test(arguments: codings)
  func `a transfer coding is read or refused`(probe: Probe) throws { try probe.check(on: Stage.shared.get()) }

  @Test(arguments: connections)
  func `a connection persists or ends`(probe: Probe) throws { try probe.check(on: Stage.shared.get()) }

  @Test(arguments: [
    "POST {T} HTTP/1.1\r\n{H}Content-Length: 20\r\n\r\n{}",
    "POST {T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
  ])
  func `a truncated body is not taken as complete (§8)`(bytes: String) throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let socket = try stage.gateway.connect()
    try socket.send(bytes.replacing("{T}", with: Stage.target(tag)).replacing("{H}", with: Stage.lines))
    socket.endOutput()
    #expect(try socket.receiveToEnd().isEmpty)
    #expect(stage.requests(tag) == 0)
  }

  @Test func `connection fields are not forwarded (9110 §7.6.1)`() throws {
    let gateway = try Stage.shared.get().gateway
    let answer = try gateway.ask(
      "GET", Stage.target("hop"),
      fields: [
        "Connection: X-Secret", "X-Secret: s3cr3t", "Keep-Alive: timeout=77", "TE: trailers",
        "Proxy-Authorization: Basic cDpw", "Trailer: X",
      ])
    let seen = try #require(answer?.bodyText)
    for text in ["s3cr3t", "timeout=77", "trailers", "cDpw", "Trailer"] { #expect(!seen.contains(text)) }
  }
}
