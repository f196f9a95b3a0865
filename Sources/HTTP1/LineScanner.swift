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
    // The line before may have ended right at the bound, which is behind `end` then.
    let index = bytes.firstStop(in: position..<max(position, end)) { word in
      word.marks(below: 0x20) | word.marks(of: 0x7f)
    } where: {
      !$0.isFieldContent
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
}
