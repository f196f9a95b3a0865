/// The parts of a request target in origin-form or absolute-form (RFC 9112 §3.2).
struct RequestTarget {
  /// Of an absolute-form; valid.
  let authority: Range<Int>?
  /// Starts with a slash.
  let path: Range<Int>
  /// Behind the first question mark.
  let query: Range<Int>?

  /// Reads a target that is not empty, of visible bytes, whose first question mark is at `question`.
  @inline(__always)
  init(_ bytes: Span<UInt8>, _ target: Range<Int>, question: Int?) throws(HeadFault.Reason) {
    let pathEnd = question ?? target.upperBound
    query = question.map { $0 + 1..<target.upperBound }
    authority =
      bytes[target.lowerBound] == UInt8(ascii: "/")
      ? nil : try Self.authority(bytes, target.lowerBound..<pathEnd)
    path = (authority?.upperBound ?? target.lowerBound)..<pathEnd
  }

  private static func authority(_ bytes: Span<UInt8>, _ target: Range<Int>) throws(HeadFault.Reason) -> Range<Int> {
    // A gateway has to take absolute-form (RFC 9112 §3.2.2). Authority-form and asterisk-form are for CONNECT and
    // OPTIONS, which nothing here answers.
    guard let start = endOfScheme(bytes, target),
      let slash = bytes.first(UInt8(ascii: "/"), in: start..<target.upperBound)
    else { throw .targetForm }
    guard Authority.isValid(bytes, start..<slash) else { throw .targetAuthority }
    return start..<slash
  }

  /// Where `http://` or `https://` ends.
  private static func endOfScheme(_ bytes: Span<UInt8>, _ target: Range<Int>) -> Int? {
    let start = target.lowerBound
    if target.count >= 7, bytes.has(anyCaseOf: "http://", at: start..<start + 7) { return start + 7 }
    if target.count >= 8, bytes.has(anyCaseOf: "https://", at: start..<start + 8) { return start + 8 }
    return nil
  }
}
