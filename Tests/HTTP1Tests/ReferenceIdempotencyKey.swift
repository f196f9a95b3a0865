/// A key, read by the grammar instead of byte by byte: all productions that match the whole value.
enum ReferenceIdempotencyKey {
  /// nil: the value is malformed.
  static func read(_ value: [UInt8]) -> String? {
    guard value.allSatisfy({ (0x20...0x7e).contains($0) }) else { return nil }
    let text = String(value.map { Character(Unicode.Scalar($0)) })
    let key = text.hasPrefix("\"") ? string(text) : bare(text)
    return key.flatMap { (1...255).contains($0.count) ? $0 : nil }
  }

  /// sf-string = DQUOTE *chr DQUOTE, and spaces after it, which an item may have (RFC 8941 §3.3.3, §4.2).
  private static func string(_ text: String) -> String? {
    guard let match = text.wholeMatch(of: /"((?:[^"\\]|\\["\\])*)" */) else { return nil }
    return String(match.1.replacing(/\\(.)/) { $0.1 })
  }

  private static func bare(_ text: String) -> String? {
    text.wholeMatch(of: /[^ "\\,;]+/).map { String($0.0) }
  }
}
