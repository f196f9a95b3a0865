/// Any bytes as a JSON string (RFC 8259 §7).
enum JSONText {
  /// Bytes that are no UTF-8 are written as `\u00XX`, so the line stays readable and the byte stays known.
  static func append(_ text: Span<UInt8>, to out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    var index = 0
    while index < text.count {
      let byte = text[index]
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        out.append(UInt8(ascii: "\\"))
        out.append(byte)
        index += 1
      case 0x20..<0x7F:
        out.append(byte)
        index += 1
      case 0x80...:
        let length = sequenceLength(text, at: index)
        if length == 0 { appendEscaped(byte, to: &out) }
        for offset in 0..<length { out.append(text[index + offset]) }
        index += max(length, 1)
      default:
        appendEscaped(byte, to: &out)
        index += 1
      }
    }
    out.append(UInt8(ascii: "\""))
  }

  static func hexDigit(_ nibble: UInt8) -> UInt8 {
    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
  }

  private static func appendEscaped(_ byte: UInt8, to out: inout [UInt8]) {
    out.append(contentsOf: #"\u00"#.utf8)
    out.append(hexDigit(byte >> 4))
    out.append(hexDigit(byte & 0xF))
  }

  /// Length of the well-formed sequence of two to four bytes at `index`, or 0 (Unicode 15, table 3-7).
  static func sequenceLength(_ text: Span<UInt8>, at index: Int) -> Int {
    let length: Int
    let second: ClosedRange<UInt8>
    switch text[index] {
    case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xE1...0xEC, 0xEE...0xEF: (length, second) = (3, 0x80...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: return 0
    }
    guard index + length <= text.count, second.contains(text[index + 1]) else { return 0 }
    for offset in 2..<max(length, 2) where text[index + offset] & 0xC0 != 0x80 { return 0 }
    return length
  }
}
