import Bytes
import HTTP1
import TestValues
import Testing

@Suite struct LineForwarderTests {
  /// Lines as received, and as written.
  static let lines = [
    ("A: 1", "A: 1"), ("Bb: two words", "Bb: two words"), ("C:3", "C: 3"), ("D:\t4", "D: 4"), ("E:  5", "E: 5"),
    ("F: 6 ", "F: 6"), ("G: 7\t ", "G: 7"), ("H:", "H: "), ("I: ", "I: "), ("J:  ", "J: "), ("K: \u{e9}", "K: \u{e9}"),
  ]

  @Test(arguments: lines, lines) func `forwards two adjacent lines`(first: (String, String), second: (String, String))
    throws
  {
    #expect(try forwarded([first.0, second.0]) == first.1 + "\r\n" + second.1 + "\r\n")
  }

  /// A dropped line between two that would be copied in one piece must not be copied with them.
  @Test(arguments: 0..<64) func `forwards any lines and drops the others`(kept: Int) throws {
    let lines = [0, 1, 10, 4, 0, 8].map { Self.lines[$0] }
    let expected = lines.indices.filter { kept >> $0 & 1 == 1 }.map { lines[$0].1 + "\r\n" }.joined()
    #expect(try forwarded(lines.map(\.0)) { kept >> $0 & 1 == 1 ? .forwarded : .dropped } == expected)
  }

  @Test(arguments: 0..<5) func `replaces the value of any line`(replaced: Int) throws {
    let lines = [0, 2, 3, 1, 0].map { Self.lines[$0] }
    let expected = lines.indices.map { index in
      index == replaced ? lines[index].1.prefix { $0 != ":" } + ": new\r\n" : lines[index].1 + "\r\n"
    }.joined()
    #expect(try forwarded(lines.map(\.0)) { $0 == replaced ? .replaced : .forwarded } == expected)
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK"), ("HTTP/1.1 599  a  \u{e9}", "HTTP/1.1 599  a  \u{e9}"),
    ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK"), ("HTTP/1.1 204 ", "HTTP/1.1 204 "), ("HTTP/1.1 204", "HTTP/1.1 204 "),
    ("HTTP/1.0 404", "HTTP/1.1 404 "),
  ])
  func `forwards the status line in the gateway's own version`(sent: String, written: String) throws {
    let head = Array((sent + "\r\nA: 1\r\nB:2\r\n\r\n").utf8)
    var parser = ResponseHeadParser(limits: HeadLimits())
    let isWhole = try parser.parse(head.span, answering: .get)
    #expect(isWhole)
    let output = ByteBuffer(capacity: 1)
    var lines = LineForwarder(statusLineOf: parser.head, head.span, to: output)
    for index in parser.head.fields.indices { lines.forward(parser.head.fields[index], of: head.span, to: output) }
    lines.flush(head.span, to: output)
    #expect(output.text == written + "\r\nA: 1\r\nB: 2\r\n")
  }

  private enum Treatment {
    case forwarded, dropped, replaced
  }

  private func forwarded(_ texts: [String], _ treatment: (Int) -> Treatment = { _ in .forwarded }) throws -> String {
    let head = Array(("GET / HTTP/1.1\r\nHost: h\r\n" + texts.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    var parser = RequestHeadParser(limits: HeadLimits())
    let isWhole = try parser.parse(head.span)
    #expect(isWhole)
    let output = ByteBuffer(capacity: 1)
    var lines = LineForwarder()
    for index in 0..<texts.count {
      let field = parser.head.fields[index + 1]
      switch treatment(index) {
      case .forwarded: lines.forward(field, of: head.span, to: output)
      case .dropped: break
      case .replaced: lines.replace(field, of: head.span, to: output) { $0.append("new") }
      }
    }
    lines.flush(head.span, to: output)
    return output.text
  }
}
