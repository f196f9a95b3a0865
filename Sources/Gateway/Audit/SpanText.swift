/// Comparisons of bytes with literals.
extension Span<UInt8> {
  func equals(_ text: String) -> Bool { count == text.utf8.count && hasPrefix(text) }

  func hasPrefix(_ text: String) -> Bool {
    let text = text.utf8Span.span
    guard count >= text.count else { return false }
    for index in text.indices where self[index] != text[index] { return false }
    return true
  }
}
