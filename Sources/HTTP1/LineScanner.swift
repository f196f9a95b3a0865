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
    let index = Self.firstControl(bytes, from: position, end)
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

  /// The first byte that no field value has, or `end`.
  @inline(__always)
  private static func firstControl(_ bytes: Span<UInt8>, from start: Int, _ end: Int) -> Int {
    var index = start
    while end - index >= 8 {
      let marks = marksOfControls(bytes.word(at: index))
      guard marks != 0 else {
        index += 8
        continue
      }
      index += marks.trailingZeroBitCount / 8
      guard bytes[index].isFieldContent else { return index }
      index += 1
    }
    while index < end, bytes[index].isFieldContent { index += 1 }
    return index
  }

  /// The top bit of the first byte that is below 0x20 or DEL, and of no byte before it; zero if there is none.
  @inline(__always)
  private static func marksOfControls(_ word: UInt64) -> UInt64 {
    let deletes = word ^ 0x7f7f_7f7f_7f7f_7f7f
    let low = (word &- 0x2020_2020_2020_2020) & ~word
    let zero = (deletes &- 0x0101_0101_0101_0101) & ~deletes
    return (low | zero) & 0x8080_8080_8080_8080
  }
}
