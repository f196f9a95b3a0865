import Reactor

extension ByteBuffer {
  /// Any bytes as a JSON string (RFC 8259 §7).
  ///
  /// Bytes that are no UTF-8 are written as `\u00XX`, so the line stays readable and the byte stays known.
  func append(json text: Span<UInt8>) {
    append("\"")
    var index = 0
    while index < text.count {
      let plain = plainCount(text, from: index)
      append(text, index..<index + plain)
      index += plain
      guard index < text.count else { break }
      let byte = text[index]
      let length = JSONText.sequenceLength(text, at: index)
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        append("\\")
        append(byte)
      } else if length > 0 {
        append(text, index..<index + length)
      } else {
        append(#"\u00"#)
        append(hex: UInt64(byte), digits: 2)
      }
      index += max(length, 1)
    }
    append("\"")
  }
}

/// How many bytes from `start` on stand in a JSON string as they are: almost always all of them.
private func plainCount(_ text: Span<UInt8>, from start: Int) -> Int {
  var index = start
  while index < text.count {
    let byte = text[index]
    guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
    index &+= 1
  }
  return index - start
}
