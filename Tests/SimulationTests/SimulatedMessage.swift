/// A whole message, read plainly.
struct SimulatedMessage {
  let lines: [String]
  let body: [UInt8]

  var startLine: String { lines.first ?? "" }
  var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }
  var isInterim: Bool { status / 100 == 1 }

  func field(_ name: String) -> String? {
    lines.first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map { String($0.dropFirst(name.count + 2)) }
  }

  /// The tag in its request line.
  var tag: String? { SimulatedTag.first(in: Array(startLine.utf8)) }

  /// Whether the body is one tag again and again, or the gateway's own words.
  func isBody(of tag: String) -> Bool {
    body == Array(String(repeating: "\(tag).", count: body.count / (tag.utf8.count + 1)).utf8)
  }
}

/// Takes one message after the other from bytes that come in pieces.
struct SimulatedReader {
  /// What was not taken yet.
  private(set) var bytes: [UInt8] = []
  /// The lines of a head whose body is not whole yet.
  private(set) var head: [String]?
  /// Bytes that hold no end of a head.
  private var scanned = 0
  private var body: [UInt8] = []
  private var isChunked = false
  private var missing = 0

  mutating func append(_ more: [UInt8]) { bytes += more }

  /// The next message; nil while it is not whole.
  ///
  /// - Parameter hasBody: false for an answer to HEAD.
  mutating func next(hasBody: Bool) -> SimulatedMessage? {
    if head == nil {
      guard let text = take(through: "\r\n\r\n") else { return nil }
      let message = SimulatedMessage(
        lines: text.replacing("\r\n", with: "\n").split(separator: "\n").map(String.init), body: [])
      head = message.lines
      isChunked = hasBody && message.field("Transfer-Encoding") == "chunked"
      missing = hasBody && !isChunked ? message.field("Content-Length").flatMap { Int($0) } ?? 0 : 0
    }
    guard isChunked ? takeChunks() : takeMissing() else { return nil }
    defer {
      head = nil
      body = []
    }
    return SimulatedMessage(lines: head ?? [], body: body)
  }

  private mutating func takeMissing() -> Bool {
    let count = min(missing, bytes.count)
    body += bytes.prefix(count)
    bytes.removeFirst(count)
    missing -= count
    return missing == 0
  }

  private mutating func takeChunks() -> Bool {
    while true {
      // A chunk's line stays until all of it is there.
      guard let lineEnd = bytes.prefix(12).end(of: "\r\n"),
        let size = Int(String(decoding: bytes[..<(lineEnd - 2)], as: UTF8.self), radix: 16),
        bytes.count >= lineEnd + size + 2
      else { return false }
      body += bytes[lineEnd..<lineEnd + size]
      bytes.removeFirst(lineEnd + size + 2)
      if size == 0 { return true }
    }
  }

  private mutating func take(through mark: String) -> String? {
    guard let end = bytes[scanned...].end(of: mark) else {
      scanned = max(0, bytes.count - mark.utf8.count + 1)
      return nil
    }
    defer {
      bytes.removeFirst(end)
      scanned = 0
    }
    return String(decoding: bytes[..<end], as: UTF8.self)
  }
}

/// Who asked for what: `c<client>r<request>z`, written so that no part of one is another's.
enum SimulatedTag {
  static func make(_ client: Int, _ request: Int) -> String { "c\(client)r\(request)z" }

  static func first(in bytes: [UInt8]) -> String? {
    guard let start = bytes[...].end(of: "t=c") else { return nil }
    return String(decoding: bytes[(start - 1)...].prefix { $0 != UInt8(ascii: "z") }, as: UTF8.self) + "z"
  }
}

extension ArraySlice<UInt8> {
  /// Where the first `mark` ends.
  fileprivate func end(of mark: String) -> Int? {
    let mark = Array(mark.utf8)
    guard count >= mark.count else { return nil }
    var index = startIndex
    while index <= endIndex - mark.count {
      if self[index] == mark[0], self[index..<index + mark.count] == mark[...] { return index + mark.count }
      index += 1
    }
    return nil
  }
}
