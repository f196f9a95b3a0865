/// Where the parts of a request line end (RFC 9112 §3), read before it is known to be one.
struct RequestLine {
  /// Of the token that it begins with.
  let methodEnd: Int
  /// Of what may stand in a target behind the one byte that follows.
  let targetEnd: Int
  /// The first question mark of the target.
  let question: Int?

  /// Reads what `range` begins with. A line's end is part of neither.
  @inline(__always)
  init(_ bytes: Span<UInt8>, in range: Range<Int>) {
    methodEnd = bytes.endOfToken(in: range)
    guard methodEnd < range.upperBound, bytes[methodEnd] == .space else {
      targetEnd = methodEnd
      question = nil
      return
    }
    let pathEnd = bytes.endOfTargetPath(in: methodEnd &+ 1..<range.upperBound)
    let hasQuery = pathEnd < range.upperBound && bytes[pathEnd] == UInt8(ascii: "?")
    targetEnd = hasQuery ? bytes.endOfTarget(in: pathEnd..<range.upperBound) : pathEnd
    question = hasQuery ? pathEnd : nil
  }
}
