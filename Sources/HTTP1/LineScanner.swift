/// Finds the lines of a head in bytes that grow, looking at each byte once.
struct LineScanner: Sendable {
  /// Where the line begins that is being looked for.
  private(set) var lineStart = 0
  private var position = 0

  var hasBegun: Bool { position > 0 }

  /// The next line without its CRLF, which holds no control byte but HTAB; nil: it is not whole yet.
  ///
  /// Only CRLF ends a line: a bare LF or CR is what two parsers read differently (RFC 9112 §2.2).
  ///
  /// - Parameters:
  ///   - endMax: the bound before which the CRLF ends, or on it.
  ///   - tooLong: what is thrown once it cannot.
  @inline(__always)
  mutating func next(_ bytes: Span<UInt8>, endMax: Int, tooLong: HeadFault) throws(HeadFault) -> Range<Int>? {
    let end = min(bytes.count, endMax - 1)
    // The line before may have ended right at the bound, which is behind `end` then.
    let index = bytes.firstStop(in: position..<max(position, end)) { word in
      word.marksOfDelete(andBelow: 0x20)
    } where: {
      !$0.isFieldContent
    }
    position = index
    guard index < end else {
      guard index < endMax - 1 else { throw tooLong }
      return nil
    }
    switch bytes[index] {
    case .lf: throw .malformed(.bareLF)
    case .cr:
      guard index + 1 < bytes.count else { return nil }
      guard bytes[index + 1] == .lf else { throw .malformed(.bareCR) }
    default: throw .malformed(.controlByte)
    }
    let line = lineStart..<index
    lineStart = index + 2
    position = lineStart
    return line
  }
}
