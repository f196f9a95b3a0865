/// Finds the lines of a head in bytes that grow, looking at each byte once.
struct LineScanner: Sendable {
  enum Step {
    /// A line without its CRLF; it holds no control byte but HTAB.
    case line(Range<Int>)
    case needsMore
    /// The line and its CRLF cannot end at or before the bound.
    case tooLong
  }

  /// Where the line begins that is being looked for.
  private(set) var lineStart = 0
  private var position = 0

  /// Only CRLF ends a line: a bare LF or CR is what two parsers read differently (RFC 9112 §2.2).
  @inline(__always)
  mutating func next(_ bytes: Span<UInt8>, endMax: Int) throws(HeadFault.Reason) -> Step {
    let end = min(bytes.count, endMax - 1)
    var index = position
    while index < end {
      // Eight bytes at once as long as all of them are plain.
      if end - index >= 8, Self.arePlain(bytes.word(at: index)) {
        index += 8
      } else {
        guard bytes[index].isFieldContent else { break }
        index += 1
      }
    }
    position = index
    guard index < end else { return index >= endMax - 1 ? .tooLong : .needsMore }
    switch bytes[index] {
    case .lf: throw .bareLF
    case .cr:
      guard index + 1 < bytes.count else { return .needsMore }
      guard bytes[index + 1] == .lf else { throw .bareCR }
    default: throw .controlByte
    }
    let line = lineStart..<index
    lineStart = index + 2
    position = lineStart
    return .line(line)
  }

  /// Whether none of eight bytes is below 0x20 or DEL.
  @inline(__always)
  private static func arePlain(_ word: UInt64) -> Bool {
    let deletes = word ^ 0x7f7f_7f7f_7f7f_7f7f
    let low = (word &- 0x2020_2020_2020_2020) & ~word
    let zero = (deletes &- 0x0101_0101_0101_0101) & ~deletes
    return (low | zero) & 0x8080_8080_8080_8080 == 0
  }
}
