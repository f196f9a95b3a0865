import HTTP1

/// The elements of a list in field lines of the same name, from the last to the first.
///
/// Repeated lines are one list (RFC 9110 §5.3), and empty elements are skipped (§5.6.1). A field that `Connection`
/// names is read, too: hop-by-hop fields are meant for this recipient (§7.6.1).
struct ForwardedList {
  enum Name {
    /// `X-Forwarded-For`, with dashes only: other spellings are not from the front.
    case addresses
    /// `X-Forwarded-Proto`.
    case protocols
  }

  private let name: Name
  /// The number of field lines that are not yet read.
  private var lineCount: Int
  /// The part of the current line's value that is not yet read; nil if there is none.
  private var rest: Range<Int>?

  init(_ name: Name, _ head: borrowing RequestHead) {
    self.name = name
    lineCount = head.fields.count
  }

  /// The next element to the left, without the whitespace around it; nil if there is none.
  mutating func next(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Range<Int>? {
    while true {
      while let part = rest {
        let element = takeLast(of: part, bytes)
        if !element.isEmpty { return element }
      }
      guard lineCount > 0 else { return nil }
      lineCount -= 1
      let line = head.fields[lineCount]
      if line.kind == .forwarding, isNamed(line.name, bytes) { rest = line.value }
    }
  }

  private mutating func takeLast(of part: Range<Int>, _ bytes: Span<UInt8>) -> Range<Int> {
    var start = part.upperBound
    while start > part.lowerBound, bytes[start - 1] != UInt8(ascii: ",") { start -= 1 }
    rest = start > part.lowerBound ? part.lowerBound..<start - 1 : nil
    return bytes.trimmed(start..<part.upperBound)
  }

  private func isNamed(_ range: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
    switch name {
    case .addresses: bytes.has(anyCaseOf: "x-forwarded-for", at: range)
    case .protocols: bytes.has(anyCaseOf: "x-forwarded-proto", at: range)
    }
  }
}
