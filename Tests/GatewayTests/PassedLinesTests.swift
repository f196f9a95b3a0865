import Bytes
import HTTP1
import TestValues
import Testing

@testable import Gateway

@Suite struct PassedLinesTests {
  /// Lines as they come, and as they are written.
  static let lines = [
    ("A: 1", "A: 1"), ("Bb: two words", "Bb: two words"), ("C:3", "C: 3"), ("D:\t4", "D: 4"), ("E:  5", "E: 5"),
    ("F: 6 ", "F: 6"), ("G: 7\t ", "G: 7"), ("H:", "H: "), ("I: ", "I: "), ("J:  ", "J: "), ("K: \u{e9}", "K: \u{e9}"),
  ]

  @Test(arguments: lines, lines) func `two neighbours`(first: (String, String), second: (String, String)) throws {
    #expect(try passed([first.0, second.0]) == first.1 + "\r\n" + second.1 + "\r\n")
  }

  /// Also one between two that would go in one piece: it must not go with them.
  @Test(arguments: 0..<64) func `any lines left out`(kept: Int) throws {
    let lines = [0, 1, 10, 4, 0, 8].map { Self.lines[$0] }
    let expected = lines.indices.filter { kept >> $0 & 1 == 1 }.map { lines[$0].1 + "\r\n" }.joined()
    #expect(try passed(lines.map(\.0)) { kept >> $0 & 1 == 1 } == expected)
  }

  private func passed(_ lines: [String], where isKept: (Int) -> Bool = { _ in true }) throws -> String {
    let head = Array(("GET / HTTP/1.1\r\nHost: h\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    var parser = RequestHeadParser(limits: HeadLimits())
    let isWhole = try parser.parse(head.span)
    #expect(isWhole)
    let output = ByteBuffer(capacity: 1)
    var passed = PassedLines()
    for index in 0..<lines.count where isKept(index) {
      passed.pass(parser.head.fields[index + 1], of: head.span, to: output)
    }
    passed.end(head.span, to: output)
    return output.text
  }
}
