/// The parts of a request target in origin-form or absolute-form (RFC 9112 §3.2).
struct RequestTarget {
  /// Of an absolute-form; valid.
  let authority: Range<Int>?
  /// Starts with a slash.
  let path: Range<Int>
  /// Behind the first question mark.
  let query: Range<Int>?

  /// Reads a target of visible bytes whose first question mark is at `question`.
  init(_ bytes: Span<UInt8>, _ target: Range<Int>, question: Int?) throws(HeadFault.Reason) {
    let pathEnd = question ?? target.upperBound
    query = question.map { $0 + 1..<target.upperBound }
    if bytes[target.lowerBound] == UInt8(ascii: "/") {
      authority = nil
      path = target.lowerBound..<pathEnd
      return
    }
    // A gateway has to take absolute-form (RFC 9112 §3.2.2). Authority-form and asterisk-form are for CONNECT and
    // OPTIONS, which nothing here answers.
    guard let start = Self.endOfScheme(bytes, target),
      let slash = bytes.first(UInt8(ascii: "/"), in: start..<pathEnd)
    else { throw .targetForm }
    guard Authority.isValid(bytes, start..<slash) else { throw .targetAuthority }
    authority = start..<slash
    path = slash..<pathEnd
  }

  /// Where `http://` or `https://` ends.
  private static func endOfScheme(_ bytes: Span<UInt8>, _ target: Range<Int>) -> Int? {
    let start = target.lowerBound
    if target.count >= 7, bytes.has(anyCaseOf: "http://", at: start..<start + 7) { return start + 7 }
    if target.count >= 8, bytes.has(anyCaseOf: "https://", at: start..<start + 8) { return start + 8 }
    return nil
  }
}
