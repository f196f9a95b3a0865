import TestSupport

/// Names a client's request: `c<client>r<request>z`, written so that no tag is part of another.
enum SimulatedTag {
  private static let mark = Array("t=c".utf8)

  static func make(_ client: Int, _ request: Int) -> String { "c\(client)r\(request)z" }

  static func first(in bytes: [UInt8]) -> String? {
    guard let start = bytes[...].end(of: mark) else { return nil }
    return String(decoding: bytes[(start - 1)...].prefix { $0 != UInt8(ascii: "z") }, as: UTF8.self) + "z"
  }
}

extension TestMessage {
  /// The tag in its request line.
  var tag: String? { SimulatedTag.first(in: Array(startLine.utf8)) }

  /// Whether the body repeats the tag and nothing else.
  func isBody(of tag: String) -> Bool {
    body == Array(String(repeating: "\(tag).", count: body.count / (tag.utf8.count + 1)).utf8)
  }
}
